export { MessagingStrategy, type MessagingStrategyOptions } from './strategy.js';
export { MessagingRpcContext } from './rpc-context.js';
export { MessagingClient, type MessagingClientOptions } from './client.js';
export { rmqMicroservice } from './own-connection.js';
export { fromRmqOptions, type FromRmqOptions, type MigratedRmq } from './rmq-options.js';
export type { RmqOptions } from './rmq-connection.js';
export type { ReportTarget } from '../migration-report.js';
