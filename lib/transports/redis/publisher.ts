import { nextTurn } from '../../clock/turn.js';
import { DeliveryLostError } from '../../errors/handling-errors.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError, PublishFailedError, PublishRefusedError, SerializationError } from '../../errors/publish-errors.js'; // prettier-ignore
import { unsendable } from '../../message/header-values.js';
import { CONFIRMED, type Destination, type Outgoing, type PublishResult } from '../../transport/outgoing.js';
import type { PublishDone, TransportEnvironment } from '../../transport/transport.js';
import { answered } from '../kit/answered.js';
import { delayedTooLong, tooLarge, unroutable } from '../kit/envelope.js';
import { writeJsonHead } from '../kit/json-head.js';
import { Quarantine } from '../kit/quarantine.js';
import { SupervisedConnection } from '../kit/supervised-connection.js';
import { isAnswer, isOutOfMemory, isOverWhatWasSent } from './server.js';
import { type Link, RedisDialer } from './link.js';
import { keyOf, type RedisDelivery } from './message.js';
import type { Names } from './routes.js';
import type { Settings } from './options.js';
import { type Routes } from './routes.js';
import { scripts } from './scripts.js';

/** A year. */
export const MAX_DELAY_MS = 365 * 24 * 3_600_000;
/** The most that one script stores: messages, and bytes of bodies. */
const MOST_MESSAGES = 500;
const MOST_BYTES = 2 ** 23;
/** Of so many publishes whose answer was lost it is known whether they were stored. */
const MOST_STORED = 100_000;

/** One publish, or the move of a delivery. */
export interface Sending {
  readonly outgoing: Outgoing;
  readonly done: PublishDone;
  /** Milliseconds, more than 0 for what is delayed. */
  readonly delayMs: number;
  /** Removed by the same script. */
  readonly source?: Source;
}

export interface Source {
  readonly queue: string;
  readonly owner: string;
  readonly delivery: RedisDelivery;
}

interface Batch {
  readonly link: Link;
  readonly sendings: readonly Sending[];
}

/** The last script that stores a batch: its number, and the places in the batch of what it stores. */
interface Sent {
  readonly number: number;
  readonly places: readonly number[];
}

/**
 * Publishes in order, one script at a time: what comes meanwhile is stored by the next. Scripts of a link are numbered, and
 * the last number that was stored stands beside the messages. So after a lost answer the next link knows what was stored, and
 * confirms it when it is published again.
 */
export class Publisher {
  private readonly quarantine: Quarantine<Link, Sending>;
  private readonly numbers = new WeakMap<Link, number>();
  private readonly sent = new WeakMap<readonly Sending[], Sent>();
  private pending: Sending[] = [];
  private inFlight: Batch | undefined;
  private working = false;
  /** Their answers were lost. */
  private doubtful: Batch[] = [];
  private readonly stored = new Set<string>();

  constructor(
    private readonly settings: Settings,
    private readonly names: Names,
    private readonly routes: Routes,
    private readonly environment: TransportEnvironment,
    private readonly connection: SupervisedConnection<Link>,
  ) {
    this.quarantine = new Quarantine({
      broker: 'Redis',
      environment,
      connect: () => this.quarantined(),
      send: (connection, link, sending) => this.alone(connection, link, sending),
      refusal: (reason) => new PublishRefusedError(`Redis refuses the message: ${reason}`),
    });
  }

  publish(batch: readonly Outgoing[], done: PublishDone, source?: Source): void {
    const known: (readonly [Outgoing, PublishResult])[] = [];
    for (const outgoing of batch) {
      const { dueAt } = outgoing;
      const delayMs = dueAt === undefined ? 0 : dueAt - this.environment.clock.now();
      const error = this.refusal(outgoing, delayMs);
      if (error) known.push([outgoing, { status: 'refused', error }]);
      else if (this.stored.size > 0 && this.stored.delete(identityOf(outgoing))) known.push([outgoing, CONFIRMED]);
      else if (!this.connection.current) known.push([outgoing, { status: 'failed', error: this.notConnected() }]);
      else this.take({ outgoing, done, delayMs, source });
    }
    if (known.length > 0) queueMicrotask(() => known.forEach(([outgoing, result]) => done(outgoing, result)));
  }

  /** What was under way when earlier links ended: stored or not, and not to be stored any more. Before a link is used. */
  async resolve(link: Link): Promise<void> {
    for (let batch = this.doubtful[0]; batch; batch = this.doubtful[0]) {
      const told = await link.run<string>(scripts.fence, [this.names.publisher(batch.link.id)]);
      if (this.doubtful[0] !== batch) continue;
      this.doubtful.shift();
      const [last, ...failed] = told.split(' ').map(Number);
      const { number, places } = this.sent.get(batch.sendings) ?? { number: Infinity, places: [] };
      if (last < number) continue;
      for (const [at, place] of places.entries()) {
        const { outgoing, source } = batch.sendings[place];
        if (!source && !failed.includes(at + 1) && this.stored.size < MOST_STORED)
          this.stored.add(identityOf(outgoing));
      }
    }
  }

  /** The connection is gone. What was under way has failed, though it may be stored; or it is sent again one by one. */
  end(): void {
    const { inFlight, pending, quarantine } = this;
    this.inFlight = undefined;
    this.pending = [];
    if (inFlight) this.doubtful.push(inFlight);
    if (inFlight && this.connection.isSuspicious) quarantine.takeAll(inFlight.sendings, tell);
    else this.failAll(inFlight?.sendings ?? []);
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
    // All that is published in one turn shares a script.
    nextTurn(() => void this.work());
  }

  private refusal(outgoing: Outgoing, delayMs: number): MessagingError | undefined {
    return (
      tooLarge(outgoing, this.settings.maxBytes) ??
      delayedTooLong(delayMs, MAX_DELAY_MS, 'Redis') ??
      unsendable(outgoing.message.headers) ??
      unspeakable(outgoing.to)
    );
  }

  private async work(): Promise<void> {
    for (let link = this.connection.current; link && this.pending.length > 0; link = this.connection.current) {
      const sendings = this.nextBatch();
      const batch = { link, sendings };
      this.inFlight = batch;
      const results = await this.results(this.connection, link, sendings);
      if (this.inFlight !== batch) continue;
      this.inFlight = undefined;
      sendings.forEach((sending, index) => tell(sending, results[index]));
    }
    this.working = false;
  }

  /** On a link of its own; not where an earlier one has stored it. */
  private async alone(connection: SupervisedConnection<Link>, link: Link, sending: Sending): Promise<PublishResult> {
    const sendings = [sending];
    const [result] = await this.results(connection, link, sendings);
    if (result.status === 'failed' && connection.current !== link) this.doubtful.push({ link, sendings });
    return result;
  }

  /** Moves go together, and everything else does: only moves may be stored where no memory is left. */
  private nextBatch(): Sending[] {
    let bytes = 0;
    let count = 0;
    const isMove = this.pending[0].source !== undefined;
    for (const { outgoing, source } of this.pending) {
      bytes += outgoing.message.body.length;
      if (count === MOST_MESSAGES || (bytes > MOST_BYTES && count > 0) || (source !== undefined) !== isMove) break;
      count++;
    }
    return this.pending.splice(0, count);
  }

  /** It does not reject; at the latest it resolves when the link has ended. */
  private async results(
    connection: SupervisedConnection<Link>,
    link: Link,
    sendings: readonly Sending[],
  ): Promise<PublishResult[]> {
    const { clock, confirmTimeout: ms } = this.environment;
    const late = (): void => connection.destroy('the server does not answer', link);
    try {
      if (this.doubtful.length > 0) await answered(this.resolve(link), { clock, ms }, late);
      if (sendings.length === 1 && !sendings[0].source && this.stored.delete(identityOf(sendings[0].outgoing))) return [CONFIRMED]; // prettier-ignore
      for (;;) {
        const { run, results } = this.prepared(link, sendings);
        const [status, failed = [], lost = []] = await answered(run(), { clock, ms }, late);
        if (status < 0) throw new Error('another connection goes on for this one');
        if (status === 0) {
          await this.routes.load(link);
          continue;
        }
        for (const [at, reason] of failed) results[run.places[at - 1]] = failure(`Redis did not store the message: ${connection.redact(reason)}`); // prettier-ignore
        for (const at of lost) results[run.places[at - 1]] = { status: 'failed', error: new DeliveryLostError('Another consumer has the message by now') }; // prettier-ignore
        return results;
      }
    } catch (error) {
      if (!isAnswer(error)) {
        if (!isOverWhatWasSent(error)) late();
        await link.closed;
      }
      const hint = isOutOfMemory(error)
        ? '. Its memory is full (maxmemory): publishing goes on once there is room'
        : '';
      const result = failure(`Redis did not store the message: ${connection.describe(error)}${hint}`, isOutOfMemory(error)); // prettier-ignore
      return sendings.map(() => result);
    }
  }

  /** What stores them, by the routes as they are known now, and finds out whether those still hold; the results then. */
  private prepared(link: Link, sendings: readonly Sending[]): { run: Run; results: PublishResult[] } {
    const { names, routes, settings } = this;
    const keys = [names.version, names.publisher(link.id), names.idle];
    const places = new Map<string, number>();
    const placeOf = (queue: string): number => {
      let place = places.get(queue);
      if (place === undefined) {
        const [stream, , waiting] = names.queue(queue);
        places.set(queue, (place = keys.push(stream, waiting) - 1));
      }
      return place;
    };
    const isFull = sendings.some(({ delayMs, source }) => delayMs > 0 || source);
    const values: (string | number | Buffer)[] = [];
    const sent: number[] = [];
    const woken = new Set<string>();
    const results = sendings.map(({ outgoing, delayMs, source }, index): PublishResult => {
      const { to, message, mandatory } = outgoing;
      const queues = routes.of(to);
      if (queues.length === 0 && mandatory)
        return { status: 'unroutable', error: unroutable(outgoing, settings.topic) };
      if (queues.length === 0 && !source) return CONFIRMED;
      sent.push(index);
      const head = writeJsonHead(message, routes.topicOf(to));
      values.push(queues.length === 1 ? placeOf(queues[0]) : queues.map(placeOf).join(), head, message.body, keyOf(message)); // prettier-ignore
      for (const queue of queues) woken.add(queue);
      if (!isFull) return CONFIRMED;
      values.push(Math.max(0, Math.ceil(delayMs)));
      if (source) values.push(placeOf(source.queue), source.owner, source.delivery.id);
      else values.push('', '', '');
      return CONFIRMED;
    });
    const number = (this.numbers.get(link) ?? 0) + 1;
    const script = sendings[0].source ? scripts.move : isFull ? scripts.publishFull : scripts.publish;
    const run = (): Promise<Answer> => {
      this.numbers.set(link, number);
      this.sent.set(sendings, { number, places: sent });
      return link.run(script, keys, [routes.version, number, [...woken].join('\0'), ...values]);
    };
    return { run: Object.assign(run, { places: sent }), results };
  }

  private quarantined(): SupervisedConnection<Link> {
    const { settings, environment, names } = this;
    const { clock, service } = environment;
    const dialer = new RedisDialer({ settings, names, clock, service: `${service} (quarantine)` });
    return new SupervisedConnection(dialer, environment, { opened: () => {}, lost: () => {}, warning: () => {} });
  }

  private failAll(sendings: readonly Sending[]): void {
    if (sendings.length === 0) return;
    const error = this.notConnected();
    for (const sending of sendings) tell(sending, { status: 'failed', error });
  }

  private notConnected(): NotConnectedError {
    return new NotConnectedError(`Not connected to Redis: ${this.connection.reason}`);
  }
}

type Answer = [status: number, failed?: [number, string][], lost?: number[]];
/** `places`: of what it stores, among those that were given. */
type Run = (() => Promise<Answer>) & { readonly places: readonly number[] };

function failure(text: string, nacked = false): PublishResult {
  return { status: 'failed', error: new PublishFailedError(text), ...(nacked && { nacked }) };
}

/** The same where the same is published again, to the same place. */
function identityOf({ to, dedupeId }: Outgoing): string {
  const place = to.kind === 'queue' ? to.queue : `${to.route}\0${(to.kind === 'route' && to.topic) || ''}`;
  return `${to.kind}\0${place}\0${dedupeId}`;
}

/** Bindings are stored as names with zeros between them. */
function unspeakable(to: Destination): SerializationError | undefined {
  const name = to.kind === 'queue' ? to.queue : `${to.route}${to.kind === 'route' ? (to.topic ?? '') : ''}`;
  return name.includes('\0') ? new SerializationError('The name of a route or queue holds a zero') : undefined;
}

function tell({ outgoing, done }: Sending, result: PublishResult): void {
  done(outgoing, result);
}
