import type { PostgresDatabase } from '../clients/postgres-database.js';
import type { CancelTimer, Clock } from '../clock/clock.js';
import type { OutboxSettings } from './outbox-options.js';
import type { OutboxStatements } from './outbox-statements.js';
import type { Relay } from './relay.js';

const COUNT_EVERY_MS = 15_000;
/** After a failure. */
const AGAIN_MS = 2_000;
/** A transaction that is younger holds back nothing that somebody would miss. */
const WORTH_TELLING_MS = 1_000;

/** What `outbox.health()` says: from memory, counted every 15 seconds. */
export interface OutboxHealth {
  /** `down`: the database cannot be reached. `degraded`: messages are parked, or nothing can be sent at the moment. */
  readonly status: 'up' | 'degraded' | 'down';
  /** Messages that wait to be sent, those with a delay included; 100,000 means so many or more. Undefined: not counted yet. */
  readonly depth?: number;
  /** How long the first one that is due has waited. */
  readonly oldestAgeMs?: number;
  /** Messages that cannot be sent: `outbox.parked()` lists them. */
  readonly parked?: number;
  /** When it was counted, as an ISO time. */
  readonly countedAt?: string;
  /** `off`: this process sends nothing. */
  readonly relay: 'running' | 'waiting' | 'stopped' | 'off';
  /** Why it is `waiting`, or why nothing could be counted. */
  readonly reason?: string;
  /** With `order: 'transaction'`: the oldest transaction, on the whole server, behind which everything later waits. */
  readonly heldBy?: { readonly owner: string; readonly ageMs: number };
}

interface Counts extends Pick<OutboxHealth, 'depth' | 'oldestAgeMs' | 'parked' | 'countedAt' | 'heldBy'> {
  readonly error?: string;
}

/** Counts now and then, so that whoever asks waits for nobody. */
export class OutboxCounts {
  private counts: Counts = {};
  private cancelTimer: CancelTimer = () => {};
  private counting: Promise<void> | undefined;
  private isStopped = false;

  constructor(
    private readonly database: PostgresDatabase,
    private readonly statements: OutboxStatements,
    private readonly settings: OutboxSettings,
    private readonly clock: Clock,
    /** Makes or checks the tables, where the database was away when the application started. */
    private readonly prepare: () => Promise<void>,
  ) {}

  start(): void {
    void this.count();
  }

  stop(): void {
    this.isStopped = true;
    this.cancelTimer();
  }

  /** Counts at once. */
  count(): Promise<void> {
    this.cancelTimer();
    return (this.counting ??= this.ask().finally(() => {
      this.counting = undefined;
      if (!this.isStopped)
        this.cancelTimer = this.clock.after(
          this.counts.error === undefined ? COUNT_EVERY_MS : AGAIN_MS,
          () => void this.count(),
          { background: true },
        );
    }));
  }

  report(relay: Relay | undefined): OutboxHealth {
    const { error, ...counts } = this.counts;
    const state = relay?.state ?? 'off';
    const reason = error ?? relay?.obstacle;
    const status = error !== undefined ? 'down' : (counts.parked ?? 0) > 0 || reason !== undefined ? 'degraded' : 'up';
    return { status, ...counts, relay: state, ...(reason !== undefined && { reason }) };
  }

  private async ask(): Promise<void> {
    const { database, statements, settings, clock } = this;
    try {
      await this.prepare();
      if (settings.retention > 0) await database.query(statements.forget, [settings.retention]);
      await database.query(statements.forgetHandled, [settings.handledRetention]);
      const [{ depth, oldest, parked }] = await database.query(statements.count);
      const held = settings.order === 'transaction' ? (await database.query(statements.holder))[0] : undefined;
      this.counts = {
        depth: depth as number,
        ...(oldest !== null && { oldestAgeMs: Math.round(oldest as number) }),
        parked: parked as number,
        countedAt: new Date(clock.now()).toISOString(),
        ...(held &&
          (held.ms as number) >= WORTH_TELLING_MS && {
            heldBy: { owner: held.owner as string, ageMs: Math.round(held.ms as number) },
          }),
      };
    } catch (error) {
      this.counts = { ...this.counts, error: `The database at ${database.host}: ${database.describe(error)}` };
    }
  }
}
