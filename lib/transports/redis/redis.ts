import type { BrokerUrl } from '../../transport/broker-url.js';
import type { TransportFactory } from '../../transport/transport.js';
import { checkOptions, type RedisOptions } from './options.js';
import { RedisTransport } from './transport.js';

/**
 * Queues in Redis 7.0 and later, or Valkey, over `ioredis`. The options are checked at once; nothing is connected before
 * the application starts.
 *
 * @example
 * MessagingModule.forRoot({ service: 'orders', transport: redis({ url: process.env.REDIS_URL }) })
 */
export function redis(options: RedisOptions = {}): TransportFactory {
  const settings = checkOptions(options);
  return { system: 'redis', topic: settings.topic, create: () => new RedisTransport(settings) };
}

/** Redis by its URL. */
export const redisUrl: BrokerUrl = {
  title: 'Redis',
  schemes: ['redis', 'rediss'],
  example: 'redis://host',
  variable: 'REDIS_URL',
  settings: [
    { name: 'prefix', value: 'name', default: 'messaging', what: 'what the keys begin with', option: 'redis.prefix' },
  ],
  factory(url, { settings: { prefix }, connectTimeout }) {
    return redis({
      url,
      ...(prefix !== undefined && { prefix }),
      ...(url.includes(',') && { cluster: true }),
      options: { connectTimeout },
    });
  },
};
