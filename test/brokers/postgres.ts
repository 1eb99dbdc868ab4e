import { afterAll, describe } from '@jest/globals';
import { announcedPostgres, type AvailablePostgres } from './postgres/availability.js';
import { PostgresServer, type PostgresServerOptions } from './postgres/server.js';

/** One version of PostgreSQL for one describe block. Its servers are stopped after the block. */
export class PostgresBroker {
  private readonly servers: PostgresServer[] = [];
  private shared?: Promise<PostgresServer>;

  constructor(
    private readonly postgres: AvailablePostgres,
    /** Of those that are tested: for what takes long and shows the same with each. */
    readonly newest = true,
  ) {
    afterAll(async () => void (await Promise.all(this.servers.map((server) => server.stop()))));
  }

  get version(): string {
    return this.postgres.version;
  }

  /** Servers are of this run: they can be started, and given faults. Else there is only `sharedUrl`. */
  get ours(): boolean {
    return this.postgres.root !== undefined;
  }

  /** A server that somebody else runs and others use. */
  get sharedUrl(): string | undefined {
    return this.postgres.url;
  }

  /** A server of its own. Takes a moment. */
  async start(options?: PostgresServerOptions): Promise<PostgresServer> {
    const server = await PostgresServer.start(this.version, this.postgres.root!, options);
    this.servers.push(server);
    return server;
  }

  /** A new database on a server of this block; or the one that somebody else runs. */
  async url(): Promise<string> {
    if (this.postgres.url !== undefined) return this.postgres.url;
    return (await (this.shared ??= this.start())).createDatabase();
  }
}

/** The block once for each version that is there; a skipped one for each that is not. */
export function describePostgres(name: string, block: (postgres: PostgresBroker) => void): void {
  const { available, skipped } = announcedPostgres();
  for (const postgres of available)
    describe(`${name} (PostgreSQL ${postgres.version})`, () => block(new PostgresBroker(postgres)));
  for (const { broker, reason } of skipped) {
    describe.skip(`${name} (${broker}: ${reason.split('\n')[0]})`, () =>
      block(new PostgresBroker({ version: 'none' })));
  }
}

/** The same for tests that start, disturb and kill servers. */
export function describePostgresNode(name: string, block: (postgres: PostgresBroker) => void): void {
  const { available, skipped } = announcedPostgres();
  for (const postgres of available) {
    const title = `${name} (PostgreSQL ${postgres.version})`;
    const newest = postgres === available.at(-1);
    if (postgres.root) describe(title, () => block(new PostgresBroker(postgres, newest)));
    else describe.skip(`${title}: not a server of this run`, () => block(new PostgresBroker(postgres)));
  }
  for (const { broker, reason } of skipped) {
    describe.skip(`${name} (${broker}: ${reason.split('\n')[0]})`, () =>
      block(new PostgresBroker({ version: 'none' })));
  }
}
