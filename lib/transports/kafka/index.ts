export { kafka } from './kafka.js';
export type { KafkaOptions, KafkaSubscriptionOptions } from './options.js';
export { KafkaTransport, type KafkaNative } from './transport.js';
