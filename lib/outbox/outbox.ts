import { PostgresDatabase } from '../clients/postgres-database.js';
import type { SqlClient, SqlParameter, SqlRecord } from '../clients/sql-client.js';
import type { Clock } from '../clock/clock.js';
import { until } from '../clock/sleep.js';
import { brand } from '../errors/brand.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { MessagingError } from '../errors/messaging-error.js';
import { checkShortText, integerBetween, knownKeys } from '../errors/option-checks.js';
import { NotInTransactionError } from '../errors/outbox-errors.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { BodyOf } from '../message/message-contract.js';
import { isThenable } from '../pipeline/thenable.js';
import type { Publication } from '../publisher/publication.js';
import type { PublishOptions, RouteLike } from '../publisher/publish-options.js';
import type { Publisher } from '../publisher/publisher.js';
import type { Receipt } from '../publisher/receipt.js';
import { Inbox } from './inbox.js';
import { OutboxCounts, type OutboxHealth } from './outbox-health.js';
import type { OutboxSettings } from './outbox-options.js';
import { valuesOf } from './outbox-row.js';
import { checkOutbox, ensureOutbox } from './outbox-schema.js';
import { type OutboxStatements, outboxStatements } from './outbox-statements.js';
import { Relay } from './relay.js';
import { clientOf, type OutboxTransaction } from './transactions/transaction.js';

/** Options of a message in the outbox, as those of `publish`. What would treat its waiting in the publisher retry queue is not among them, since it never waits there. */
export type OutboxMessageOptions = Omit<
  PublishOptions,
  'attempts' | 'backoff' | 'retryQueuePriority' | 'ordered' | 'unique'
>;

/** What was added. */
export interface OutboxReceipt {
  /** The message's id, the caller's or a generated one. */
  readonly id: string;
}

/** A message that cannot be sent. */
export interface ParkedMessage {
  readonly id: string;
  readonly route: string;
  readonly key?: string;
  /** The code and the text of why not. */
  readonly error: string;
  readonly parkedAt: Date;
  readonly addedAt: Date;
  /** Of its body. */
  readonly bytes: number;
}

const OPTION_NAMES: readonly (keyof OutboxMessageOptions)[] = [
  'id',
  'key',
  'headers',
  'topic',
  'delay',
  'at',
  'ttl',
  'unroutable',
  'correlationId',
  'replyTo',
  'priority',
];

/** A server that has not answered for so long is taken for lost: a connection may say nothing for hours. */
const QUERY_TIMEOUT_MS = 20_000;

export interface OutboxEnvironment {
  readonly service: string;
  readonly connection: string;
  /** Of the connection. */
  readonly provision: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: MessagingEvents;
  readonly publisher: Publisher;
}

/**
 * Messages that are stored by the transactions that they tell of, and sent after those have committed. Injectable; one per
 * connection.
 */
export class Outbox {
  /** Handles each message once, in the transaction that its handler's own messages are added to. */
  readonly inbox: Inbox;
  private readonly database: PostgresDatabase;
  private readonly statements: OutboxStatements;
  private readonly relay: Relay | undefined;
  private readonly counts: OutboxCounts;
  private isPrepared = false;

  /** @internal */
  constructor(
    private readonly settings: OutboxSettings,
    private readonly environment: OutboxEnvironment,
  ) {
    const { service, clock } = environment;
    this.statements = outboxStatements(settings);
    this.database = new PostgresDatabase({
      address: settings.address,
      // Some to count with, and for who asks what became of a transaction.
      connections: (settings.relay ? settings.concurrency : 0) + 2,
      neededBy: 'The outbox',
      applicationName: `${service} outbox`,
      queryTimeout: QUERY_TIMEOUT_MS,
    });
    this.inbox = new Inbox(this.database, this.statements, clock);
    this.counts = new OutboxCounts(this.database, this.statements, settings, clock, () => this.prepare());
    const { statements, database, counts } = this;
    if (settings.relay)
      this.relay = new Relay({
        ...environment,
        settings,
        statements,
        database,
        prepare: () => this.prepare(),
        changed: () => void counts.count(),
      });
  }

  /**
   * Stores `body` for `route` in the transaction `tx`, as one more statement of it. The message is sent if that commits,
   * and then as `publish` would have sent it now: at least once, and for a `key` in the order in which they were added.
   *
   * What is wrong with the message is told before a statement is sent. Where the statement fails, its error is that of your
   * client, and the transaction cannot be committed any more.
   * @throws NotInTransactionError, InvalidOptionError, MessageTooLargeError, SerializationError, InvalidPayloadError,
   * PublisherClosedError (as rejections)
   */
  async add<R extends RouteLike>(
    tx: OutboxTransaction,
    route: R,
    body: BodyOf<R>,
    options: OutboxMessageOptions = {},
  ): Promise<OutboxReceipt> {
    knownKeys('options', options, OPTION_NAMES);
    const { publisher, clock } = this.environment;
    // Without a wait where none is needed: a call that nobody awaits is a statement before the commit, as one of the client.
    const found = clientOf(tx);
    const client = isThenable(found) ? await found : found;
    let begun = client === found ? undefined : this.transactionOf(client);
    let isStored = false;
    const receipt = publisher.compose(route, body, options, async (publication) => {
      isStored = true;
      await this.store(publication, (values) => this.insert(client, values, begun), clock.now());
      return added(publication.message.id);
    });
    // A schema or middleware takes its time: the transaction may end before it does.
    if (!isStored) begun ??= this.transactionOf(client);
    return { id: (await receipt).id };
  }

  /** Looks for messages at once: for who has just committed some, and is in a hurry. */
  wake(): void {
    this.relay?.wake();
  }

  /** The state of this outbox, from memory. */
  health(): OutboxHealth {
    return this.counts.report(this.relay);
  }

  /** Messages that cannot be sent, the first of them first. `limit`: 1 to 10,000, default 100. @throws MessagingError */
  async parked({ limit = 100 }: { readonly limit?: number } = {}): Promise<ParkedMessage[]> {
    const rows = await this.ask(this.statements.parkedList, [integerBetween('limit', limit, 1, 10_000)]);
    return rows.map(({ id, route, key, error, parked_at, added_at, bytes }) => ({
      id: id as string,
      route: route as string,
      ...(key !== null && { key: key as string }),
      error: error as string,
      parkedAt: new Date(parked_at as number),
      addedAt: new Date(added_at as number),
      bytes: bytes as number,
    }));
  }

  /** Parked messages are sent again, behind all others; left out: all. How many. */
  async retryParked(ids?: readonly string[]): Promise<number> {
    const rows = await this.ask(this.statements.unpark, [ids === undefined ? null : checkedIds(ids)]);
    this.wake();
    await this.counts.count();
    return rows.length;
  }

  /** Deletes parked messages. How many. */
  async discardParked(ids: readonly string[]): Promise<number> {
    const rows = await this.ask(this.statements.discard, [checkedIds(ids)]);
    await this.counts.count();
    return rows.length;
  }

  /** The tables are made or checked. Resolves also where the database is away. @throws what waiting does not cure @internal */
  async open(): Promise<void> {
    try {
      await this.prepare();
    } catch (error) {
      const wrong = error instanceof MessagingError ? error : this.database.misconfiguration(error);
      if (wrong) throw wrong;
      this.environment.log.warn(
        `The outbox waits for its database at ${this.database.host}: ${this.database.describe(error)}`,
      );
    }
  }

  /** @internal */
  start(): void {
    this.relay?.start();
    this.counts.start();
  }

  /** Nothing new is taken; what was taken is sent. @internal */
  async stop(deadline: AbortSignal): Promise<void> {
    this.counts.stop();
    await this.relay?.stop(deadline);
  }

  /** What is asked of the database at that moment is waited for until `deadline` is aborted. @internal */
  async close(deadline: AbortSignal): Promise<void> {
    await until(this.database.close(), deadline);
    this.database.destroy();
  }

  private async prepare(): Promise<void> {
    if (this.isPrepared) return;
    const { settings, database } = this;
    const { provision, service, connection } = this.environment;
    if (settings.provision ?? provision) await ensureOutbox(database, settings);
    await checkOutbox(database, settings, service, connection);
    this.isPrepared = true;
  }

  private transactionOf(client: SqlClient): Promise<readonly SqlRecord[]> {
    const asked = client.query(this.statements.transaction, []);
    asked.catch(() => {});
    return asked;
  }

  /** `begun`: the transaction that it was in when it was asked for, where that may be over. */
  private async insert(
    client: SqlClient,
    values: readonly SqlParameter[],
    begun: Promise<readonly SqlRecord[]> | undefined,
  ): Promise<void> {
    if (!begun) return void (await client.query(this.statements.add, values));
    const [{ xact }] = await begun;
    const rows = await client.query(this.statements.addIn, [...values, xact as string]);
    if (rows.length === 0)
      throw new NotInTransactionError(
        'The transaction ended before the message was ready, and nothing was added: await add()',
      );
  }

  private async store(
    publication: Publication,
    insert: (values: ReturnType<typeof valuesOf>) => Promise<unknown>,
    now: number,
  ): Promise<void> {
    try {
      await insert(valuesOf(publication, now));
    } catch (error) {
      publication.trace?.failed(error);
      throw error;
    }
    publication.trace?.queued();
    this.relay?.expect();
  }

  private async ask(...statement: Parameters<PostgresDatabase['query']>): ReturnType<PostgresDatabase['query']> {
    try {
      return await this.database.query(...statement);
    } catch (error) {
      throw this.database.misconfiguration(error) ?? new Error(`The outbox: ${this.database.describe(error)}`);
    }
  }
}

brand({ Outbox });

function checkedIds(ids: readonly string[]): string[] {
  const given: unknown = ids;
  if (!Array.isArray(given)) throw new InvalidOptionError('ids', given, 'an array of ids');
  return ids.map((id) => checkShortText('ids', id));
}

/** What middleware of `publish` sees: what becomes of the message is not known in this process. */
function added(id: string): Receipt {
  return { id, outcome: 'queued', stored: 'disk', settled: new Promise(() => {}) };
}
