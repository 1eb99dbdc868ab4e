import { Redis } from 'ioredis';

/** A client that is not under test, and comes back after an outage; the caller ends it. */
export function plainRedis(url: string): Redis {
  const client = new Redis(url, { retryStrategy: () => 50 });
  client.on('error', () => undefined);
  return client;
}
