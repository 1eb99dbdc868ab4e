import type { PostgresDatabase } from '../clients/postgres-database.js';
import type { CancelTimer, Clock } from '../clock/clock.js';
import { until } from '../clock/sleep.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { Publisher } from '../publisher/publisher.js';
import type { OutboxSettings } from './outbox-options.js';
import type { OutboxStatements } from './outbox-statements.js';
import { type BatchResult, RelayBatch } from './relay-batch.js';

/** The first look after a message was added here; each further one doubles the pause. */
const SOON_MS = 5;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
/** So many rows that are gone are worth a VACUUM, as autovacuum looks once a minute only. */
const WORTH_VACUUM = 10_000;

export interface RelayEnvironment {
  readonly settings: OutboxSettings;
  readonly statements: OutboxStatements;
  readonly database: PostgresDatabase;
  readonly publisher: Publisher;
  readonly events: MessagingEvents;
  readonly clock: Clock;
  readonly log: Log;
  /** Is called until it succeeds, before anything is taken. */
  readonly prepare: () => Promise<void>;
  /** Messages were parked, or the database is away: what was counted is true no more. */
  readonly changed: () => void;
}

/** Sends what is in the outbox, for as long as it runs. It never fails: what it meets is told, and it tries again. */
export class Relay {
  /** Why nothing is sent at this moment. */
  obstacle: string | undefined;
  private readonly batch: RelayBatch;
  private readonly stopping = new AbortController();
  private readonly ended = new AbortController();
  private running: Promise<void> | undefined;
  private wakeUp: () => void = () => {};
  private hurry = Infinity;
  private asked = false;
  private failures = 0;
  private removed = 0;
  private readonly off: (() => void)[] = [];

  constructor(private readonly environment: RelayEnvironment) {
    const { settings, statements, database, publisher, clock } = environment;
    this.batch = new RelayBatch({
      database,
      statements,
      clock,
      limit: settings.batchSize,
      inOrder: settings.order === 'transaction',
      name: `${settings.schema}.${settings.table}`,
      retention: settings.retention > 0,
      deadline: this.ended.signal,
      send: (publications) => publisher.relay(publications),
    });
  }

  get state(): 'running' | 'waiting' | 'stopped' {
    if (this.running === undefined || this.stopping.signal.aborted) return 'stopped';
    return this.obstacle === undefined ? 'running' : 'waiting';
  }

  start(): void {
    const { events } = this.environment;
    const again = (): void => this.wake();
    this.off.push(events.on('connected', again), events.on('unblocked', again));
    this.running ??= this.run();
  }

  /** Something was added in this process, and will be committed soon, or not. */
  expect(): void {
    const isQuiet = this.hurry >= this.environment.settings.pollInterval;
    this.hurry = SOON_MS;
    if (isQuiet && this.failures === 0) this.wakeUp();
  }

  /** Looks at once. */
  wake(): void {
    this.asked = true;
    this.wakeUp();
  }

  /** What was taken is sent and removed first, until `deadline` is aborted; then what is not confirmed is given back. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.stopping.abort();
    for (const off of this.off.splice(0)) off();
    this.wakeUp();
    const end = (): void => this.ended.abort();
    deadline.addEventListener('abort', end);
    if (deadline.aborted) end();
    await until(Promise.resolve(this.running), deadline);
  }

  private async run(): Promise<void> {
    const { settings } = this.environment;
    while (!this.stopping.signal.aborted) {
      this.asked = false;
      if (await this.round(settings.concurrency)) continue;
      await this.pause();
    }
  }

  /** One batch; and where there are more, several at a time until there are not. Whether to look again at once. */
  private async round(atATime: number): Promise<boolean> {
    const first = await this.one();
    if (!first?.more) return false;
    const others = new Set<Promise<void>>();
    let more = true;
    while (!this.stopping.signal.aborted && (more || others.size > 0)) {
      // One that found nothing, as all was behind messages under way, is asked again: there may be others now.
      for (let at = others.size; more && at < atATime - 1; at++) {
        const other = this.several().finally(() => others.delete(other));
        others.add(other);
      }
      more = (await this.one())?.more ?? false;
      if (!more && others.size > 0) await this.pause();
    }
    await Promise.all(others);
    return true;
  }

  private async several(): Promise<void> {
    while (!this.stopping.signal.aborted && (await this.one())?.more);
  }

  private async one(): Promise<BatchResult | undefined> {
    const { database, log } = this.environment;
    try {
      await this.environment.prepare();
      const result = await this.batch.run();
      this.tell(result);
      if (result.obstacle) this.failed(`The broker takes nothing: ${result.obstacle.message}`);
      else this.failures = 0;
      if (!result.obstacle) this.recovered();
      return result;
    } catch (error) {
      const text = database.describe(error);
      const obstacle = `The database at ${database.host}: ${text}`;
      if (this.obstacle === undefined) log.warn(`The outbox waits for its database at ${database.host}: ${text}`);
      if (this.obstacle !== obstacle) this.environment.changed();
      this.failed(obstacle);
      return undefined;
    }
  }

  private tell({ sent, parked }: BatchResult): void {
    const { events, log, settings } = this.environment;
    for (const { row, error } of parked) {
      log.error(
        `Message ${row.id} of the outbox cannot be sent and was parked in «${settings.schema}.${settings.table}_parked»: ${error.message}`,
      );
      const to = { kind: 'route', route: row.route, ...(row.topic !== null && { topic: row.topic }) } as const;
      if (events.has('publish-failed')) events.emit('publish-failed', { id: row.id, to, error });
    }
    if (parked.length > 0) this.environment.changed();
    this.removed += sent + parked.length;
    if (this.removed >= WORTH_VACUUM) void this.vacuum();
  }

  private failed(obstacle: string): void {
    this.failures++;
    this.obstacle = obstacle;
  }

  private recovered(): void {
    if (this.obstacle !== undefined) this.environment.log.log('The outbox is sent again');
    this.obstacle = undefined;
  }

  /** Until the next look: `wake` ends it, and so does the end. */
  private pause(): Promise<void> {
    const { clock, settings } = this.environment;
    let ms: number = settings.pollInterval;
    if (this.failures > 0)
      ms = Math.max(ms, Math.min(FIRST_PAUSE_MS * 2 ** Math.min(this.failures - 1, 16), LONGEST_PAUSE_MS));
    else if (this.hurry < ms) {
      ms = this.hurry;
      this.hurry *= 2;
    }
    if (this.asked || this.stopping.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      let cancel: CancelTimer = () => {};
      this.wakeUp = () => {
        this.wakeUp = () => {};
        cancel();
        resolve();
      };
      cancel = clock.after(ms, this.wakeUp, { background: true });
    });
  }

  private async vacuum(): Promise<void> {
    this.removed = 0;
    // Who may not, or cannot now, leaves it to autovacuum.
    await this.environment.database.query(this.environment.statements.vacuum).catch(() => {});
  }
}
