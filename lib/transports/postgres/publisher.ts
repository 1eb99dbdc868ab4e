import { nextTurn } from '../../clock/turn.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import {
  NotConnectedError,
  PublishFailedError,
  PublishRefusedError,
  SerializationError,
} from '../../errors/publish-errors.js';
import { unsendable } from '../../message/header-values.js';
import type { Destination, Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { PublishDone, TransportEnvironment } from '../../transport/transport.js';
import { answered } from '../kit/answered.js';
import { delayedTooLong, tooLarge } from '../kit/envelope.js';
import { Quarantine } from '../kit/quarantine.js';
import { SupervisedConnection } from '../kit/supervised-connection.js';
import { isAnswer, type PostgresError } from '../../clients/postgres-errors.js';
import { isMissing, isOverValue } from './broker-errors.js';
import { type Link, PostgresDialer } from './link.js';
import type { Settings } from './options.js';
import { type PublishOutcomes, PublishStatements, type Sending } from './publish-statement.js';

/** A year. */
export const MAX_DELAY_MS = 365 * 24 * 3_600_000;
/** The most that one statement stores: messages, and bytes of bodies. */
const MOST_MESSAGES = 1_000;
const MOST_BYTES = 2 ** 23;

type Source = NonNullable<Sending['source']>;

/** Publishes in order, one statement at a time: what comes meanwhile is stored by the next, with one commit. */
export class Publisher {
  private readonly statements: PublishStatements;
  private readonly quarantine: Quarantine<Link, Sending>;
  private pending: Sending[] = [];
  private inFlight: readonly Sending[] = [];
  private working = false;

  constructor(
    private readonly settings: Settings,
    private readonly environment: TransportEnvironment,
    private readonly connection: SupervisedConnection<Link>,
    /** These queues have got something. */
    private readonly stored: (queues: ReadonlySet<number>) => void,
  ) {
    this.statements = new PublishStatements(settings.schema, settings.topic);
    this.quarantine = new Quarantine({
      broker: 'PostgreSQL',
      environment,
      connect: () => this.quarantined(),
      send: (connection, link, sending) => this.alone(connection, link, sending),
      refusal: (reason) => new PublishRefusedError(`PostgreSQL refuses the message: ${reason}`),
    });
  }

  publish(batch: readonly Outgoing[], done: PublishDone, source?: Source): void {
    const refused: (readonly [Outgoing, PublishResult])[] = [];
    for (const outgoing of batch) {
      const { dueAt } = outgoing;
      const delayMs = dueAt === undefined ? 0 : dueAt - this.environment.clock.now();
      const error = this.refusal(outgoing, delayMs);
      if (error) refused.push([outgoing, { status: 'refused', error }]);
      else if (!this.connection.current) refused.push([outgoing, { status: 'failed', error: this.notConnected() }]);
      else this.take({ outgoing, done, delayMs, source });
    }
    if (refused.length > 0) queueMicrotask(() => refused.forEach(([outgoing, result]) => done(outgoing, result)));
  }

  /** The connection is gone. What was under way has failed, though it may be stored; or it is sent again one by one. */
  end(): void {
    const { inFlight, pending, quarantine } = this;
    this.inFlight = [];
    this.pending = [];
    if (this.connection.isSuspicious) quarantine.takeAll(inFlight, tell);
    else this.failAll(inFlight);
    this.failAll(pending);
  }

  async close(): Promise<void> {
    this.end();
    await this.quarantine.close();
  }

  private take(sending: Sending): void {
    if (this.quarantine.isFor(sending.outgoing.message)) return this.quarantine.take(sending, tell);
    this.pending.push(sending);
    if (this.working) return;
    this.working = true;
    // All that is published in one turn shares a commit.
    nextTurn(() => void this.work());
  }

  private refusal(outgoing: Outgoing, delayMs: number): MessagingError | undefined {
    return (
      tooLarge(outgoing, this.settings.maxBytes) ??
      delayedTooLong(delayMs, MAX_DELAY_MS, 'PostgreSQL') ??
      unsendable(outgoing.message.headers) ??
      unspeakable(outgoing.to)
    );
  }

  private async work(): Promise<void> {
    for (let link = this.connection.current; link && this.pending.length > 0; link = this.connection.current) {
      const batch = this.nextBatch();
      this.inFlight = batch;
      const results = await this.results(this.connection, link, batch);
      if (this.inFlight !== batch) continue;
      this.inFlight = [];
      batch.forEach((sending, index) => tell(sending, results[index]));
    }
    this.working = false;
  }

  private nextBatch(): Sending[] {
    let bytes = 0;
    let count = 0;
    for (const { outgoing } of this.pending) {
      bytes += outgoing.message.body.length;
      if (count === MOST_MESSAGES || (bytes > MOST_BYTES && count > 0)) break;
      count++;
    }
    return this.pending.splice(0, count);
  }

  /** It does not reject; at the latest it resolves when the link has ended. */
  private async results(
    connection: SupervisedConnection<Link>,
    link: Link,
    batch: readonly Sending[],
  ): Promise<readonly PublishResult[]> {
    const { clock, confirmTimeout: ms } = this.environment;
    const { statement, values, places } = this.statements.of(batch);
    try {
      const answer = link.publish(statement, values);
      const late = (): void => connection.destroy('the server does not answer', link);
      const published: PublishOutcomes = this.statements.read(
        batch,
        places,
        await answered(answer, { clock, ms }, late),
      );
      if (published.queues.size > 0) this.stored(published.queues);
      return published.results;
    } catch (error) {
      return this.failure(error as PostgresError, connection, link, batch);
    }
  }

  private async failure(
    error: PostgresError,
    connection: SupervisedConnection<Link>,
    link: Link,
    batch: readonly Sending[],
  ): Promise<readonly PublishResult[]> {
    const text = `PostgreSQL did not store the message: ${connection.describe(error)}`;
    if (!isAnswer(error)) await link.closed;
    else if (isOverValue(error) && batch.length === 1)
      return [{ status: 'refused', error: new PublishRefusedError(text) }];
    else if (isOverValue(error)) {
      const results: PublishResult[] = [];
      for (const sending of batch) results.push(...(await this.results(connection, link, [sending])));
      return results;
    }
    // Somebody has dropped the tables: who may makes them again with the next connection.
    const missing = isMissing(error);
    if (missing && this.environment.provision) connection.destroy(connection.describe(error), link);
    return batch.map(() => ({
      status: 'failed',
      error: new PublishFailedError(text),
      ...(missing && !this.environment.provision && { missing }),
    }));
  }

  private async alone(connection: SupervisedConnection<Link>, link: Link, sending: Sending): Promise<PublishResult> {
    return (await this.results(connection, link, [sending]))[0];
  }

  private quarantined(): SupervisedConnection<Link> {
    const { settings, environment } = this;
    const { clock, service } = environment;
    const dialer = new PostgresDialer({ settings, clock, service: `${service} (quarantine)`, provision: false });
    return new SupervisedConnection(dialer, environment, { opened: () => {}, lost: () => {}, warning: () => {} });
  }

  private failAll(sendings: readonly Sending[]): void {
    if (sendings.length === 0) return;
    const error = this.notConnected();
    for (const sending of sendings) tell(sending, { status: 'failed', error });
  }

  private notConnected(): NotConnectedError {
    return new NotConnectedError(`Not connected to PostgreSQL: ${this.connection.reason}`);
  }
}

/** A text of the server holds no zero: one in a name would fail all that is stored with it. */
function unspeakable(to: Destination): SerializationError | undefined {
  const name = to.kind === 'queue' ? to.queue : `${to.route}${to.kind === 'route' ? (to.topic ?? '') : ''}`;
  return name.includes('\0') ? new SerializationError('The name of a route or queue holds a zero') : undefined;
}

function tell({ outgoing, done }: Sending, result: PublishResult): void {
  done(outgoing, result);
}
