export {
  GolevelupCompatModule,
  type GolevelupCompatAsyncOptions,
  type RabbitMQConfigFactory,
} from './golevelup-compat.module.js';
export { type GolevelupCompatOptions } from './config.js';
export { type ReportTarget } from '../migration-report.js';
export { AmqpConnection } from './amqp-connection.js';
export {
  InjectRabbitMQConfig,
  isRabbitContext,
  RABBIT_CONFIG_TOKEN,
  RABBIT_CONTEXT_TYPE_KEY,
  RABBIT_HANDLER,
  RABBIT_HEADER_TYPE,
  RABBIT_PARAM_TYPE,
  RABBIT_REQUEST_TYPE,
  RabbitHandler,
  RabbitHeader,
  RabbitPayload,
  RabbitRequest,
  RabbitRPC,
  RabbitSubscribe,
} from './decorators.js';
export {
  ackErrorHandler,
  defaultAssertQueueErrorHandler,
  defaultNackErrorHandler,
  getHandlerForLegacyBehavior,
  MessageHandlerErrorBehavior,
  Nack,
  requeueErrorHandler,
  RpcTimeoutError,
} from './error-behaviors.js';
export type {
  AssertQueueErrorHandler,
  BatchMessageErrorHandler,
  BatchSubscriberHandler,
  ConnectionInitOptions,
  ConsumeOptions,
  MessageDeserializer,
  MessageErrorHandler,
  MessageHandlerOptions,
  MessageSerializer,
  QueueOptions,
  RabbitHandlerConfig,
  RabbitHandlerType,
  RabbitMQChannelConfig,
  RabbitMQConfig,
  RabbitMQExchangeBindingConfig,
  RabbitMQExchangeConfig,
  RabbitMQQueueConfig,
  RabbitMQUriConfig,
  RabbitSubscribeBinding,
  RequestOptions,
  SubscriberHandler,
  SubscriptionResult,
} from './interfaces.js';
