export { nats } from './nats.js';
export type { NatsOptions } from './options.js';
export { NatsTransport, type NatsNative } from './transport.js';
