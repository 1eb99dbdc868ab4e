import type { LoggerService } from '@nestjs/common';
import type { Channel, ConsumeMessage, Options } from 'amqplib';
import type { MessageHandlerErrorBehavior } from './error-behaviors.js';

// The options of @golevelup/nestjs-rabbitmq 9, by its names. What becomes of each is in docs/golevelup.md.

export type ConsumeOptions = Options.Consume;
export type MessageDeserializer = (message: Buffer, msg: ConsumeMessage) => unknown;
export type MessageSerializer = (value: unknown) => Buffer;
export type MessageErrorHandler = (channel: Channel, msg: ConsumeMessage, error: unknown) => Promise<void> | void;
export type BatchMessageErrorHandler = (
  channel: Channel,
  msg: ConsumeMessage[],
  error: unknown,
) => Promise<void> | void;
export type AssertQueueErrorHandler = (
  channel: Channel,
  queueName: string,
  queueOptions: QueueOptions | undefined,
  error: unknown,
) => Promise<string> | string;

export interface QueueOptions {
  durable?: boolean;
  exclusive?: boolean;
  autoDelete?: boolean;
  arguments?: object;
  messageTtl?: number;
  expires?: number;
  deadLetterExchange?: string;
  deadLetterRoutingKey?: string;
  maxLength?: number;
  maxPriority?: number;
  bindQueueArguments?: object;
  channel?: string;
  consumerOptions?: ConsumeOptions;
}

export interface RabbitSubscribeBinding {
  exchange: string;
  routingKey: string;
}

export interface BatchOptions {
  size: number;
  timeout?: number;
  errorHandler?: BatchMessageErrorHandler;
}

export interface MessageHandlerOptions {
  name?: string;
  connection?: string;
  exchange?: string;
  routingKey?: string | string[];
  bindings?: RabbitSubscribeBinding[];
  queue?: string;
  queueOptions?: QueueOptions;
  errorBehavior?: MessageHandlerErrorBehavior;
  errorHandler?: MessageErrorHandler;
  assertQueueErrorHandler?: AssertQueueErrorHandler;
  allowNonJsonMessages?: boolean;
  createQueueIfNotExists?: boolean;
  usePersistentReplyTo?: boolean;
  deserializer?: MessageDeserializer;
  batchOptions?: BatchOptions;
}

export type RabbitHandlerType = 'rpc' | 'subscribe';

export interface RabbitHandlerConfig extends MessageHandlerOptions {
  type: RabbitHandlerType;
}

export interface RabbitMQExchangeConfig {
  name: string;
  type?: string;
  createExchangeIfNotExists?: boolean;
  options?: Options.AssertExchange;
}

export interface RabbitMQQueueConfig {
  name: string;
  createQueueIfNotExists?: boolean;
  options?: Options.AssertQueue;
  exchange?: string;
  routingKey?: string | string[];
  bindQueueArguments?: object;
  consumerTag?: string;
}

export interface RabbitMQExchangeBindingConfig {
  destination: string;
  source: string;
  pattern: string;
  args?: object;
}

export interface RabbitMQChannelConfig {
  prefetchCount?: number;
  default?: boolean;
}

export interface ConnectionInitOptions {
  wait?: boolean;
  timeout?: number;
  reject?: boolean;
  skipConnectionFailedLogging?: boolean;
  skipDisconnectFailedLogging?: boolean;
}

export type RabbitMQUriConfig = Options.Connect | string;

export interface RabbitMQConfig {
  name?: string;
  uri: RabbitMQUriConfig | RabbitMQUriConfig[];
  prefetchCount?: number;
  exchanges?: RabbitMQExchangeConfig[];
  exchangeBindings?: RabbitMQExchangeBindingConfig[];
  queues?: RabbitMQQueueConfig[];
  defaultRpcTimeout?: number;
  defaultExchangeType?: string;
  defaultRpcErrorHandler?: MessageErrorHandler;
  defaultSubscribeErrorBehavior?: MessageHandlerErrorBehavior;
  connectionInitOptions?: ConnectionInitOptions;
  connectionManagerOptions?: object;
  registerHandlers?: boolean;
  enableDirectReplyTo?: boolean;
  enableControllerDiscovery?: boolean;
  channels?: Record<string, RabbitMQChannelConfig>;
  handlers?: Record<string, MessageHandlerOptions | MessageHandlerOptions[]>;
  defaultHandler?: string;
  logger?: LoggerService;
  deserializer?: MessageDeserializer;
  serializer?: MessageSerializer;
  defaultPublishOptions?: Options.Publish;
}

export interface RequestOptions {
  exchange: string;
  routingKey: string;
  correlationId?: string;
  timeout?: number;
  payload?: unknown;
  headers?: object;
  expiration?: string | number;
  publishOptions?: Omit<Options.Publish, 'replyTo' | 'correlationId' | 'headers' | 'expiration'>;
}

export type SubscriberHandler<T = unknown> = (
  msg: T | undefined,
  rawMessage?: ConsumeMessage,
  headers?: unknown,
) => Promise<unknown>;
export type BatchSubscriberHandler<T = unknown> = (
  msg: (T | undefined)[],
  rawMessage?: ConsumeMessage[],
  headers?: unknown[],
) => Promise<unknown>;

export interface SubscriptionResult {
  consumerTag: string;
}
