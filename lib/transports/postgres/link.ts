import { randomUUID } from 'node:crypto';
import type { Client, Pool } from 'pg';
import { connectionMisconfiguration, describe, type PostgresError } from '../../clients/postgres-errors.js';
import { destroyClient, loadPg, type Pg, type WatchedPool, watchedPool } from '../../clients/postgres-pool.js';
import type { Clock } from '../../clock/clock.js';
import { answered } from '../../clock/answered.js';
import { heartbeat } from '../../clock/heartbeat.js';
import type { Dialer, LinkEvents } from '../kit/supervised-connection.js';
import { isOverWhatWasSent } from './broker-errors.js';
import type { Settings } from './options.js';
import { channelOf, checkVersion, ensureSchema } from './schema.js';

/** A statement with a name, under which it is prepared. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export type Row = readonly unknown[];

/** An array of numbers or booleans, as the server reads it. The client's own way looks at each for what has to be quoted. */
export function listOf(values: readonly (number | string | boolean | null | undefined)[]): string {
  return `{${values.map((value) => value ?? 'NULL').join(',')}}`;
}

/** How long a server may take to answer a heartbeat, and how often there is one. Milliseconds. */
const HEARTBEAT_MS = 10_000;
/** How long the server may take to send a notification to who has just sent it. */
const PROOF_MS = 2_000;
const END_WITHIN_MS = 3_000;

export const PING: Statement = { name: 'ping', text: 'select 1' };

/** Connections that stand and fall together: one that publishes and listens, and a pool for everything else. */
export interface Link {
  readonly main: Client;
  readonly pool: Pool;
  /** Notifications come. */
  readonly listens: boolean;
  /** Resolves when the connection that publishes is gone. */
  readonly closed: Promise<void>;
  /** Rows as lists of values. */
  readonly query: (statement: Statement, values?: readonly unknown[]) => Promise<readonly Row[]>;
  /** The same on the connection that publishes. */
  readonly publish: Link['query'];
}

interface Opened extends Link {
  listens: boolean;
  readonly watched: WatchedPool;
  stopHeartbeat(): void;
}

export interface DialerOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly service: string;
  readonly provision: boolean;
  /** A notification. Left out: nobody listens. */
  readonly notified?: (payload: string) => void;
  /** What has to be there before the link is given out. */
  readonly prepare?: (link: Link) => Promise<void>;
}

/** Opens links to PostgreSQL. */
export class PostgresDialer implements Dialer<Link> {
  constructor(private readonly options: DialerOptions) {}

  get name(): string {
    return `PostgreSQL at ${this.options.settings.address.host}`;
  }

  redact(text: string): string {
    return this.options.settings.address.redact(text);
  }

  describe(error: unknown): string {
    return this.redact(describe(error));
  }

  async open(_failures: number, on: LinkEvents<Link>): Promise<Link> {
    const { settings, provision, notified, prepare } = this.options;
    const link = this.make(await loadPg('The PostgreSQL transport'), on);
    try {
      await link.main.connect();
      if (provision) await ensureSchema(link.main, settings.schema);
      else await checkVersion(link.main, settings.schema);
      if (notified && settings.preparedStatements) await this.listen(link, notified, on);
      await prepare?.(link);
      const failed = (error: unknown): void => this.destroy(link, this.describe(error), on);
      link.stopHeartbeat = heartbeat(this.options.clock, HEARTBEAT_MS, () => link.publish(PING), failed);
      return link;
    } catch (error) {
      void this.end(link);
      throw connectionMisconfiguration(error, settings.address) ?? error;
    }
  }

  async end(link: Link): Promise<void> {
    const { main, pool } = link as Opened;
    (link as Opened).stopHeartbeat();
    const ended = Promise.allSettled([pool.end(), main.end()]);
    await answered(ended, { clock: this.options.clock, ms: END_WITHIN_MS }).catch(() => destroyAll(link));
  }

  destroy(link: Link, reason: string, on: LinkEvents<Link>): void {
    on.ended(link, reason);
    destroyAll(link);
    void this.end(link);
  }

  private make(pg: Pg, on: LinkEvents<Link>): Opened {
    const { settings, service } = this.options;
    const config = { application_name: service.slice(0, 63), ...settings.address.config() };
    const main = new pg.Client(config);
    const watched = watchedPool(pg, config, settings.connections);
    const { pool } = watched;
    let verdict: PostgresError | undefined;
    main.on('error', (error) => (verdict ??= error));
    const ask =
      (client: Client | Pool): Link['query'] =>
      async ({ name, text }, values = []) => {
        const config = { text, values: [...values], rowMode: 'array' as const };
        const { rows } = await client.query<unknown[]>(settings.preparedStatements ? { ...config, name } : config);
        return rows;
      };
    // One statement at a time: the client refuses more.
    let last: Promise<unknown> = Promise.resolve();
    const publish: Link['publish'] = (statement, values) => {
      const answer = last.then(() => ask(main)(statement, values));
      last = answer.catch((error: PostgresError) => error.severity === 'FATAL' && (verdict = error));
      return answer;
    };
    const closed = new Promise<void>((resolve) => main.once('end', () => resolve()));
    const link: Opened = {
      main,
      pool,
      watched,
      closed,
      listens: false,
      query: ask(pool),
      publish,
      stopHeartbeat: () => {},
    };
    void closed.then(() => {
      on.ended(link, this.describe(verdict ?? new Error('connection closed')), verdict && isOverWhatWasSent(verdict));
      watched.destroy();
      void this.end(link);
    });
    return link;
  }

  /** A pooler answers LISTEN as well, and nothing comes of it: what was sent to itself has to arrive. */
  private async listen(link: Opened, notified: (payload: string) => void, on: LinkEvents<Link>): Promise<void> {
    const { main } = link;
    const { clock, settings } = this.options;
    const channel = channelOf(settings.schema);
    const proof = `proof ${randomUUID()}`;
    try {
      const heard = new Promise<void>((resolve) => {
        main.on('notification', ({ payload = '' }) => (payload === proof ? resolve() : notified(payload)));
      });
      await main.query(`listen ${channel}`);
      await main.query('select pg_notify($1, $2)', [channel, proof]);
      await answered(heard, { clock, ms: PROOF_MS });
      link.listens = true;
    } catch (error) {
      await main.query('unlisten *');
      on.warning(`Notifications do not arrive, queues are looked into more often instead: ${this.describe(error)}`);
    }
  }
}

/** Without a word to the server. */
function destroyAll(link: Link): void {
  destroyClient(link.main);
  (link as Opened).watched.destroy();
}
