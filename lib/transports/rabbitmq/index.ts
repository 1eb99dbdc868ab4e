export { rabbitmq } from './rabbitmq.js';
export type { RabbitmqBinding, RabbitmqExchange } from './topology/exchanges.js';
export type { QueueType, RabbitmqOptions, RabbitmqSubscriptionOptions } from './options.js';
export { RabbitmqTransport, type RabbitmqNative } from './transport.js';
