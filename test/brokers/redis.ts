import { afterAll, describe } from '@jest/globals';
import { announcedRedis, type AvailableRedis } from './redis/availability.js';
import { RedisServer, type RedisServerOptions } from './redis/server.js';

/** One version of Redis or Valkey for one describe block. Its servers are stopped after the block. */
export class RedisBroker {
  private readonly servers: RedisServer[] = [];
  private shared?: Promise<RedisServer>;

  constructor(
    private readonly redis: AvailableRedis,
    /** Of those that are tested: for what takes long and shows the same with each. */
    readonly newest = true,
  ) {
    afterAll(async () => void (await Promise.all(this.servers.map((server) => server.stop()))));
  }

  get title(): string {
    return `${this.redis.title} ${this.redis.version}`;
  }

  get version(): string {
    return this.redis.version;
  }

  /** The clocks of its servers can be stepped. */
  get steps(): boolean {
    return this.redis.faketime !== undefined;
  }

  /** Servers are of this run: they can be started, and given faults. Else there is only `sharedUrl`. */
  get ours(): boolean {
    return this.redis.root !== undefined;
  }

  /** A server that somebody else runs and others use. */
  get sharedUrl(): string | undefined {
    return this.redis.url;
  }

  /** A server of its own. Takes a moment. */
  async start(options?: RedisServerOptions): Promise<RedisServer> {
    const server = await RedisServer.start(this.redis, options);
    this.servers.push(server);
    return server;
  }

  /** The server of this block; or the one that somebody else runs. */
  async url(): Promise<string> {
    return this.redis.url ?? (await (this.shared ??= this.start())).url;
  }
}

/** The block once for each version that is there; a skipped one for each that is not. */
export function describeRedis(name: string, block: (redis: RedisBroker) => void): void {
  for (const { redis, newest } of each())
    describe(`${name} (${redis.title} ${redis.version})`, () => block(new RedisBroker(redis, newest)));
  describeSkipped(name, block);
}

/** The same for tests that start, disturb and kill servers. */
export function describeRedisNode(name: string, block: (redis: RedisBroker) => void): void {
  for (const { redis, newest } of each()) {
    const title = `${name} (${redis.title} ${redis.version})`;
    if (redis.root) describe(title, () => block(new RedisBroker(redis, newest)));
    else describe.skip(`${title}: not a server of this run`, () => block(new RedisBroker(redis)));
  }
  describeSkipped(name, block);
}

function each(): { redis: AvailableRedis; newest: boolean }[] {
  const { available } = announcedRedis();
  return available.map((redis) => ({ redis, newest: redis === available.at(-1) }));
}

function describeSkipped(name: string, block: (redis: RedisBroker) => void): void {
  for (const { broker, reason } of announcedRedis().skipped)
    describe.skip(`${name} (${broker}: ${reason.split('\n')[0]})`, () =>
      block(new RedisBroker({ title: 'Redis', version: 'none' })));
}
