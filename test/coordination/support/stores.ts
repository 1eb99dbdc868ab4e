import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import { NatsBroker } from '../../brokers/nats.js';
import { announcedNats } from '../../brokers/nats/availability.js';
import { describePostgres } from '../../brokers/postgres.js';
import { announcedPostgres } from '../../brokers/postgres/availability.js';
import { describeRedis } from '../../brokers/redis.js';
import { announcedRedis } from '../../brokers/redis/availability.js';

/** A store that the processes of a test share, and the NATS server that they publish on. */
export interface SharedPlace {
  readonly store: object;
  readonly servers: string;
  /** Times are told by the server itself, so that nobody can move them. */
  readonly ownClock?: true;
  dispose(): void;
}

const nothing = (): void => undefined;

/** The block for each store. They show the same with each version of a server, and the newest one is enough. */
export function describeStores(name: string, block: (place: () => Promise<SharedPlace>) => void): void {
  const broker = announcedNats().available.at(-1);
  if (!broker) return describe.skip(`${name}: there is no NATS server`, () => block(() => Promise.reject(new Error())));
  const newest = <B extends { readonly version: string }>(all: readonly B[], { version }: B): boolean =>
    version === all.at(-1)?.version;
  describe(`${name}, by SQLite`, () => {
    const server = new NatsBroker(broker);
    block(async () => {
      const folder = mkdtempSync(join(tmpdir(), 'coordination-'));
      const store = { kind: 'sqlite', file: join(folder, 'shared.sqlite') };
      return { store, servers: await server.url(), dispose: () => rmSync(folder, { recursive: true, force: true }) };
    });
  });
  describe(`${name}, by NATS`, () => {
    const server = new NatsBroker(broker);
    block(async () => ({ store: { kind: 'nats' }, servers: await server.url(), dispose: nothing }));
  });
  describePostgres(name, (postgres) => {
    if (!newest<{ readonly version: string }>(announcedPostgres().available, postgres))
      return describe.skip('an older one', nothing);
    const server = new NatsBroker(broker);
    block(async () => ({
      store: { kind: 'postgres', url: await postgres.url(), schema: `coordination_${process.pid}` },
      servers: await server.url(),
      dispose: nothing,
    }));
  });
  describeRedis(name, (redis) => {
    if (!newest<{ readonly version: string }>(announcedRedis().available, redis))
      return describe.skip('an older one', nothing);
    const server = new NatsBroker(broker);
    block(async () => ({
      store: { kind: 'redis', url: await redis.url() },
      servers: await server.url(),
      ownClock: true,
      dispose: nothing,
    }));
  });
}
