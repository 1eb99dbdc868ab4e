export { redis } from './redis.js';
export type { RedisOptions, RedisSubscriptionOptions } from './options.js';
export { RedisTransport, type RedisNative } from './transport.js';
