export { type SqsRecord } from './events.js';
export {
  createSqsHandler,
  type LambdaContext,
  type SqsBatchResponse,
  type SqsEvent,
  type SqsHandlerOptions,
} from './lambda.js';
export { type SqsOptions, type SqsSubscriptionOptions } from './options.js';
export { sqs } from './sqs.js';
export { type SqsNative } from './transport.js';
