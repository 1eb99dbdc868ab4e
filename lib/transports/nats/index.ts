export { nats } from './nats.js';
export type { NatsOptions, NatsSubscriptionOptions } from './options.js';
export { NatsTransport, type NatsNative } from './transport.js';
