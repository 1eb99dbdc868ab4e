import type { ConsumeMessage, Options } from 'amqplib';
import type { RuntimeSubscription } from '../../consumer/runtime-subscription.js';
import { InvalidOptionError, UnsupportedError } from '../../errors/configuration-errors.js';
import { RequestTimeoutError } from '../../errors/request-errors.js';
import type { Headers } from '../../message/headers.js';
import type { Messaging } from '../../messaging.js';
import type { RabbitmqNative } from '../../transports/rabbitmq/transport.js';
import { type CompatSettings, DEFAULT_NAME } from './config.js';
import { RpcTimeoutError } from './error-behaviors.js';
import type { Call } from './handlers.js';
import type {
  BatchSubscriberHandler,
  ConsumeOptions,
  MessageHandlerOptions,
  RabbitMQConfig,
  RequestOptions,
  SubscriberHandler,
  SubscriptionResult,
} from './interfaces.js';
import type { CompatPublishing } from './publishing.js';
import type { CompatSubscriptions } from './subscriptions.js';

const DEFAULT_RPC_TIMEOUT = 10_000;

/** Publishes, asks and subscribes at run time, with the methods of golevelup's class of this name. */
export class AmqpConnection {
  private readonly subscribed = new Map<string, RuntimeSubscription>();

  /** @internal */
  constructor(
    private readonly messaging: Messaging,
    private readonly settings: CompatSettings,
    private readonly publishing: CompatPublishing,
    private readonly subscriptions: CompatSubscriptions,
    private readonly timeoutError: typeof RpcTimeoutError = RpcTimeoutError,
  ) {}

  /** Resolves with true once the broker has it, or it waits for the broker. Rejects where trying again cannot help. */
  publish(exchange: string, routingKey: string, message: unknown, options?: Options.Publish): Promise<boolean> {
    return this.publishing.publish(exchange, routingKey, message, options);
  }

  /** @throws RpcTimeoutError, UnroutableError at once where nobody is there, and what a Requester throws (as rejections) */
  async request<T>(options: RequestOptions): Promise<T> {
    const { exchange, routingKey, correlationId, headers, payload, publishOptions = {}, expiration } = options;
    const { enableDirectReplyTo, defaultRpcTimeout = DEFAULT_RPC_TIMEOUT } = this.settings.config;
    if (enableDirectReplyTo === false)
      throw new UnsupportedError('request: without direct reply-to there is no reply. Leave out «enableDirectReplyTo»');
    if (exchange === '')
      throw new InvalidOptionError(
        'exchange',
        exchange,
        'an exchange: bind the queue of the responder, and ask by its routing key',
      );
    const timeout = options.timeout || defaultRpcTimeout;
    const { contentType, priority, ...others } = publishOptions;
    const serializer = this.publishing.serializer(contentType);
    this.publishing.optionsOf(others, 'request', serializer);
    if (expiration !== undefined)
      this.settings.report.differs('AmqpConnection.request', 'expiration', 'a request is of use until its timeout');
    if (correlationId !== undefined)
      this.settings.report.differs(
        'AmqpConnection.request',
        'correlationId',
        'travels as the header «x-correlation-id»: requests are told apart by an id that nobody can guess',
      );
    const route = { route: this.publishing.route(exchange, routingKey), serializer };
    const sent = { ...(headers as Headers), ...(correlationId !== undefined && { 'x-correlation-id': correlationId }) };
    try {
      return (await this.messaging.requester.request(route, payload || {}, {
        topic: exchange,
        timeout,
        headers: sent,
        ...(priority !== undefined && { priority }),
      })) as T;
    } catch (error) {
      if (error instanceof RequestTimeoutError) throw new this.timeoutError(timeout, exchange, routingKey);
      throw error;
    }
  }

  /** @throws what a decorated handler with these options would refuse the start with */
  createSubscriber<T>(
    handler: SubscriberHandler<T>,
    options: MessageHandlerOptions,
    originalHandlerName = 'createSubscriber',
    consumeOptions?: ConsumeOptions,
  ): Promise<SubscriptionResult> {
    return this.subscribe('subscribe', handler as Call, options, originalHandlerName, consumeOptions);
  }

  createBatchSubscriber<T>(
    handler: BatchSubscriberHandler<T>,
    options: MessageHandlerOptions,
    consumeOptions?: ConsumeOptions,
  ): Promise<SubscriptionResult> {
    const { batchOptions = { size: 10 } } = options;
    return this.subscribe(
      'subscribe',
      handler as Call,
      { ...options, batchOptions },
      'createBatchSubscriber',
      consumeOptions,
    );
  }

  createRpc<T>(handler: SubscriberHandler<T>, options: MessageHandlerOptions): Promise<SubscriptionResult> {
    return this.subscribe('rpc', handler as Call, options, 'createRpc');
  }

  /** No handler starts until `resumeConsumer`. @throws InvalidOptionError for a tag that nobody has */
  async cancelConsumer(consumerTag: string): Promise<void> {
    this.messaging.pause(consumerTag);
  }

  /** Resolves with the same tag, or null for one that nobody has. */
  async resumeConsumer(consumerTag: string): Promise<string | null> {
    if (!this.consumerTags.includes(consumerTag)) return null;
    this.messaging.resume(consumerTag);
    return consumerTag;
  }

  /** Of every consumer of this connection: the name of its subscription. */
  get consumerTags(): string[] {
    return this.messaging.subscriptionSummaries().map(({ name }) => name);
  }

  get configuration(): RabbitMQConfig {
    return { ...this.settings.config, name: this.settings.config.name ?? DEFAULT_NAME };
  }

  get connected(): boolean {
    const { state } = this.messaging.health().connection;
    return state === 'connected' || state === 'blocked';
  }

  /** amqplib's connection, that messages are consumed on. @throws UnsupportedError while there is none */
  get connection(): NonNullable<RabbitmqNative['consuming']> {
    const { consuming } = this.messaging.native() as RabbitmqNative;
    if (consuming) return consuming;
    throw new UnsupportedError('connection is not available: there is none to the broker now');
  }

  /** @throws UnsupportedError, always */
  get channel(): never {
    return noChannel('channel');
  }

  /** @throws UnsupportedError, always */
  get channels(): never {
    return noChannel('channels');
  }

  /** @throws UnsupportedError, always */
  get managedChannel(): never {
    return noChannel('managedChannel');
  }

  /** @throws UnsupportedError, always */
  get managedChannels(): never {
    return noChannel('managedChannels');
  }

  /** @throws UnsupportedError, always */
  get managedConnection(): never {
    return noChannel('managedConnection');
  }

  /** The module connects. */
  async init(): Promise<void> {}

  /** Nothing: the application closes the connection with itself. */
  async close(): Promise<void> {}

  private async subscribe(
    type: 'subscribe' | 'rpc',
    handler: Call,
    options: MessageHandlerOptions,
    place: string,
    consumerOptions?: ConsumeOptions,
  ): Promise<SubscriptionResult> {
    const queueOptions = { ...options.queueOptions, ...(consumerOptions && { consumerOptions }) };
    const call: Call = async (...args) => handler(...(args as [unknown, ConsumeMessage, unknown]));
    const config = { ...options, queueOptions, type };
    const subscription = this.subscriptions.subscribe([{ place, config, call }]);
    const name = options.queue ? subscription.request.name! : `${place}-${this.subscribed.size + 1}`;
    const made =
      'batchHandler' in subscription
        ? await this.messaging.subscribeBatch(
            { ...subscription.request, name },
            (_, context) => subscription.batchHandler(context) as never,
          )
        : await this.messaging.subscribe({ ...subscription.request, name }, (_, context) =>
            subscription.handler(context),
          );
    this.subscribed.set(name, made);
    return { consumerTag: name };
  }
}

function noChannel(name: string): never {
  throw new UnsupportedError(
    `AmqpConnection.${name}: channels are this package's own. For one of yours: await amqpConnection.connection.createChannel(), on amqplib's connection, anew whenever that was lost`,
  );
}
