import type { Options } from 'amqplib';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { knownKeys } from '../../errors/option-checks.js';
import type { Headers } from '../../message/headers.js';
import { jsonSerializer, type Serializer } from '../../message/serializer.js';
import type { PublishOptions } from '../../publisher/publish-options.js';
import type { Publisher } from '../../publisher/publisher.js';
import type { CompatSettings } from './config.js';

/** What is taken of amqplib's options, and what is told instead of taken. */
const TAKEN = ['messageId', 'correlationId', 'replyTo', 'headers', 'expiration', 'priority', 'contentType'];
const TOLD: Readonly<Record<string, string>> = {
  mandatory:
    "nobody would be told with theirs; give «unroutable: 'reject'» to the module, and publish with our Publisher",
  persistent: 'everything is persistent',
  deliveryMode: 'everything is persistent',
  timestamp: 'the header «messaging-time» says when',
  type: 'the type is the routing key',
  appId: 'not sent: put it into a header',
  immediate: 'no RabbitMQ knows it',
};

/** Sends as golevelup's AmqpConnection does: past the routes of the module, to any exchange, whatever is bound there. */
export class CompatPublishing {
  constructor(
    private readonly publisher: Publisher,
    private readonly settings: CompatSettings,
  ) {}

  async publish(exchange: string, routingKey: string, message: unknown, given: Options.Publish = {}): Promise<boolean> {
    const options = { ...this.settings.config.defaultPublishOptions, ...given };
    const publishing = this.optionsOf(options, 'publish', this.serializer(options.contentType));
    if (exchange === '') await this.publisher.sendToQueue(routingKey, message, publishing);
    else await this.publisher.publish(this.route(exchange, routingKey), message, { ...publishing, topic: exchange });
    return true;
  }

  /** A fanout or headers exchange does not look at the key, which for us is not empty. @throws InvalidOptionError */
  route(exchange: string, routingKey: string): string {
    if (routingKey !== '') return routingKey;
    const type = this.settings.exchangeTypes.get(exchange);
    if (type === 'fanout' || type === 'headers') return exchange;
    throw new InvalidOptionError(
      'routingKey',
      routingKey,
      `a routing key: an empty one is for exchanges of which «exchanges» says that they are fanout or headers, and of «${exchange}» it says ${type ?? 'nothing'}`,
    );
  }

  /** @throws InvalidOptionError for what would be another message without it */
  optionsOf(options: Options.Publish, where: string, serializer: Serializer): PublishOptions {
    const { settings } = this;
    knownKeys(`${where} options`, options, [...TAKEN, ...Object.keys(TOLD)]);
    for (const [name, difference] of Object.entries(TOLD)) {
      const value = (options as Record<string, unknown>)[name];
      const same =
        value === undefined || (value === true && name === 'persistent') || (value === 2 && name === 'deliveryMode');
      if (!same) settings.report.differs(`AmqpConnection.${where}`, name, difference);
    }
    const { messageId, correlationId, replyTo, expiration, priority } = options;
    const headers = options.headers as Headers | undefined;
    if (expiration !== undefined)
      settings.report.differs(
        `AmqpConnection.${where}`,
        'expiration',
        'our consumers do not handle it later, where the broker would drop it',
      );
    return {
      unroutable: settings.messaging.unroutable ?? 'ignore',
      serializer,
      ...(messageId !== undefined && { id: messageId }),
      ...(correlationId !== undefined && { correlationId }),
      ...(replyTo !== undefined && { replyTo }),
      ...(headers && { headers }),
      ...(expiration !== undefined && { ttl: Math.max(1, Number(expiration)) }),
      ...(priority !== undefined && { priority }),
    };
  }

  /** Nothing is an empty body, bytes are bytes, and all else is what the config's serializer makes of it, or JSON. */
  serializer(contentType?: string): Serializer {
    const { serializer: theirs, deserializer } = this.settings.config;
    const written = (value: unknown): { body: Buffer; contentType?: string } => {
      if (value === undefined || value === null) return { body: Buffer.alloc(0) };
      if (value instanceof Uint8Array) return { body: Buffer.from(value) };
      return theirs ? { body: theirs(value) } : jsonSerializer.serialize(value);
    };
    return {
      serialize: (value) => ({ ...written(value), ...(contentType !== undefined && { contentType }) }),
      deserialize: (body) => body,
      replies: {
        serialize: ({ value, error }) =>
          value instanceof RpcAnswer ? { ...written(value.value), headers: value.headers } : written(error ?? value),
        deserialize: (body, properties, { headers }) => ({
          value:
            body.length === 0
              ? undefined
              : deserializer
                ? deserializer(body, { fields: {}, content: body, properties: { ...properties, headers } } as never)
                : (JSON.parse(body.toString()) as unknown),
        }),
      },
    };
  }
}

/** What an RPC handler returned, also nothing, with the headers of the request, which its reply has as well. */
export class RpcAnswer {
  constructor(
    readonly value: unknown,
    readonly headers: Headers,
  ) {}
}
