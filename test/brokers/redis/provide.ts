import { Redis } from 'ioredis';
import { dockerAnswers, startService, stopCompose } from '../compose.js';
import { reasonAgainstDebianRoots } from '../debian-root.js';
import type { SkippedBroker } from '../availability.js';
import { reasonNotSelected, selectedVersions } from '../selection.js';
import type { AvailableRedis, RedisAvailability } from './availability.js';
import { installRedis, redisVersions, type RedisVersion } from './install.js';

export interface ProvidedRedis extends RedisAvailability {
  stop(): Promise<void>;
}

/**
 * Not among TEST_BROKERS → nothing; TEST_REDIS_URL → that server alone; else the newest of them, or those of
 * TEST_REDIS_VERSIONS: the program where it can be installed, of which each test file starts servers of its own; a
 * container where there is an engine.
 */
export async function provide(): Promise<ProvidedRedis> {
  const unwanted = reasonNotSelected('redis');
  if (unwanted !== undefined) return nothing(unwanted);
  const url = process.env.TEST_REDIS_URL;
  if (!url) return provideVersions();
  try {
    return { available: [await external(url)], skipped: [], stop: async () => undefined };
  } catch (error) {
    return nothing(`TEST_REDIS_URL: ${(error as Error).message}`);
  }
}

async function provideVersions(): Promise<ProvidedRedis> {
  const versions = selectedVersions('TEST_REDIS_VERSIONS', redisVersions);
  const impossible = await reasonAgainstDebianRoots();
  const docker = impossible !== undefined && (await dockerAnswers());
  const skipped: SkippedBroker[] = [];

  const provideVersion = async (version: RedisVersion): Promise<AvailableRedis | undefined> => {
    try {
      if (docker) return await byCompose(version);
      if (impossible !== undefined) throw new Error(`${impossible}, no container engine, no TEST_REDIS_URL`);
      return await installRedis(version);
    } catch (error) {
      skipped.push({ broker: `Redis ${version}`, reason: (error as Error).message });
      return undefined;
    }
  };

  const provided = await Promise.all(versions.map(provideVersion));
  return {
    available: provided.filter((redis) => redis !== undefined),
    skipped,
    stop: async () => (docker ? stopCompose() : undefined),
  };
}

async function byCompose(version: RedisVersion): Promise<AvailableRedis> {
  const address = await startService(`redis-${version.replaceAll('.', '-')}`);
  return external(`redis://${await address(6379)}`);
}

async function external(url: string): Promise<AvailableRedis> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const info = await client.info('server');
    const valkey = /^valkey_version:(\S+)/m.exec(info)?.[1];
    const version = valkey ?? /^redis_version:(\S+)/m.exec(info)![1];
    return { title: valkey === undefined ? 'Redis' : 'Valkey', version, url };
  } finally {
    client.disconnect();
  }
}

function nothing(reason: string): ProvidedRedis {
  return { available: [], skipped: [{ broker: 'Redis', reason }], stop: async () => undefined };
}
