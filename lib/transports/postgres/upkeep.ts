import type { CancelTimer } from '../../clock/clock.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import { isAnswer, type PostgresError } from '../../clients/postgres-errors.js';
import type { Link, Statement } from './link.js';
import { quoted } from '../../clients/postgres-address.js';
import { channelOf } from './schema.js';

/** At most one notification in so many milliseconds. */
const NOTIFY_EVERY_MS = 10;
/** So many rows that are gone are worth a VACUUM; fewer are after a minute. */
const WORTH_VACUUM = 10_000;
const VACUUM_EVERY_MS = 60_000;
/** The share of its time that a table may be under VACUUM. */
const MOST_SHARE = 0.1;
/** The notifications of a server have no room: who tells them for everybody else. */
const NO_ROOM = '54000';

export interface UpkeepOptions {
  readonly schema: string;
  readonly environment: TransportEnvironment;
  readonly everyMs: number;
  readonly current: () => Link | undefined;
  /** Deletes exclusive queues that nobody consumes. */
  readonly sweep: (link: Link) => Promise<void>;
}

/** What keeps rows that are gone on the disk: who, and since when. */
const HOLDING: Statement = {
  name: 'holding',
  text: `select 'the transaction of process ' || pid || ' (' || application_name || ')', floor(extract(epoch from now() - xact_start))::int
from pg_stat_activity where datname = current_database() and (backend_xmin is not null or backend_xid is not null)
and pid <> pg_backend_pid() and xact_start < now() - interval '1 minute'
union all select 'the prepared transaction ' || gid, floor(extract(epoch from now() - prepared))::int
from pg_prepared_xacts where database = current_database() and prepared < now() - interval '1 minute'
order by 2 desc limit 1`,
};

/** What nobody waits for: notifications, vacuum, queues that expire. */
export class Upkeep {
  private readonly notify: Statement;
  private readonly tables: string;
  private readonly full: Statement = { name: 'usage', text: 'select pg_notification_queue_usage()' };
  private changed = new Set<number>();
  private isQuiet = false;
  private removed = 0;
  private vacuuming = false;
  private vacuumedAt: number;
  private pauseMs = 0;
  private readonly told = new Set<string>();
  private cancelTick: CancelTimer = () => {};

  constructor(private readonly options: UpkeepOptions) {
    const { schema, environment } = options;
    const s = quoted(schema);
    const text = `select pg_notify('${channelOf(schema)}', $1), set_config('synchronous_commit', 'off', true)`;
    this.notify = { name: 'notify', text };
    this.tables = ['messages', 'waiting', 'keys'].map((table) => `${s}.${table}`).join(', ');
    this.vacuumedAt = environment.clock.monotonic();
  }

  start(): void {
    this.cancelTick = this.options.environment.clock.after(this.options.everyMs, () => void this.tick(), {
      background: true,
    });
  }

  stop(): void {
    this.cancelTick();
    this.cancelTick = () => {};
    this.isQuiet = true;
  }

  /** Other processes hear that there is something in these queues: at once, and then at most every few milliseconds. */
  tell(queues: Iterable<number>): void {
    for (const queue of queues) this.changed.add(queue);
    if (!this.isQuiet) this.send();
  }

  /** So many rows are gone. */
  gone(count: number): void {
    this.removed += count;
    if (this.removed >= WORTH_VACUUM) void this.vacuum();
  }

  private send(): void {
    const link = this.options.current();
    const queues = [...this.changed].join(' ');
    this.changed.clear();
    if (!link || queues === '') return;
    this.isQuiet = true;
    this.options.environment.clock.after(NOTIFY_EVERY_MS, () => this.again(), { background: true });
    // Not in the transaction that stores: those would commit one after the other, and fail where there is no room.
    link.query(this.notify, [queues]).catch((error: unknown) => this.notNotified(link, error as PostgresError));
  }

  private again(): void {
    this.isQuiet = false;
    this.send();
  }

  private notNotified(link: Link, error: PostgresError): void {
    if (!isAnswer(error)) return;
    this.warn(
      `Consumers of other processes find what is new when they look, for they cannot be notified: ${error.message}`,
    );
    // It stays full until somebody asks, also after whoever blocked it has left.
    if (error.code === NO_ROOM) link.query(this.full).catch(() => {});
  }

  private async tick(): Promise<void> {
    const link = this.options.current();
    const { cancelTick } = this;
    if (link) {
      const { clock } = this.options.environment;
      if (this.removed > 0 && clock.monotonic() - this.vacuumedAt >= VACUUM_EVERY_MS) void this.vacuum();
      await this.options.sweep(link).catch(() => {});
    }
    if (cancelTick === this.cancelTick) this.start();
  }

  /** Autovacuum looks once a minute: by then a busy queue has grown by what it has handled. */
  private async vacuum(): Promise<void> {
    const { clock } = this.options.environment;
    const link = this.options.current();
    const startedAt = clock.monotonic();
    if (!link || this.vacuuming || startedAt - this.vacuumedAt < this.pauseMs) return;
    this.vacuuming = true;
    this.removed = 0;
    try {
      const client = await link.pool.connect();
      const notice = ({ message }: { message?: string }): void => {
        if (message && /permission|owner/.test(message))
          this.warn(`VACUUM of the queues is left to autovacuum: ${message}`);
      };
      client.on('notice', notice);
      try {
        // Who does so at the same time does it for all.
        await client.query(`vacuum (truncate false, skip_locked) ${this.tables}`);
      } finally {
        client.off('notice', notice);
        client.release();
      }
      const [holder] = await link.query(HOLDING);
      if (holder)
        this.warn(
          `What is removed from the queues stays on the disk while ${holder[0] as string} is open`,
          `since ${holder[1] as number} s`,
        );
    } catch (error) {
      if (isAnswer(error as PostgresError))
        this.warn(`VACUUM of the queues is left to autovacuum: ${(error as Error).message}`);
    }
    this.vacuumedAt = clock.monotonic();
    this.pauseMs = (this.vacuumedAt - startedAt) / MOST_SHARE;
    this.vacuuming = false;
  }

  /** Once each. */
  private warn(message: string, more?: string): void {
    if (this.told.has(message)) return;
    this.told.add(message);
    this.options.environment.onEvent({
      type: 'warning',
      message: more === undefined ? message : `${message}, ${more}`,
    });
  }
}
