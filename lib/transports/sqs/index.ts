export { type SqsOptions, type SqsSubscriptionOptions } from './options.js';
export { sqs } from './sqs.js';
export { type SqsNative } from './transport.js';
