import { RmqContext } from '@nestjs/microservices';
import { brand } from '../../errors/brand.js';
import { UnsupportedError } from '../../errors/configuration-errors.js';
import type { MessageContext } from '../../pipeline/message-context.js';

/** What a handler has said of its message through the channel. */
export type Decision = 'ack' | 'requeue' | 'dead-letter';

/** What `@Ctx()` is: the context of Nest's RabbitMQ transport, on any broker. */
export class MessagingRpcContext extends RmqContext {
  /** What the handler decided; the first word counts, and of several handlers any that is no ack. @internal */
  decision: Decision | undefined;
  /** Several handlers have the message. @internal */
  isShared = false;
  /** What the handler failed with, before Nest's filter made of it what is told. @internal */
  failure: unknown;
  private message: Record<string, unknown> | undefined;
  private channel: object | undefined;

  /** @internal */
  constructor(
    /** The context of this package: attempt, headers, key, signal, and what the broker's client handed over. */
    readonly messaging: MessageContext,
    private readonly tooLate: (operation: string) => void,
  ) {
    super([{}, undefined, messaging.route]);
  }

  /** The message as amqplib hands it over (`content`, `fields`, `properties`), whatever the broker is. */
  override getMessage(): Record<string, unknown> {
    return (this.message ??= amqpMessage(this.messaging));
  }

  /**
   * In place of the channel: `ack`, `nack` and `reject` decide what becomes of the message when its handler has returned.
   * Anything else throws UnsupportedError.
   */
  override getChannelRef(): unknown {
    return (this.channel ??= channelOf((operation, decision) => {
      if (this.ended) this.tooLate(operation);
      else if (this.decision === undefined || (this.isShared && this.decision === 'ack')) this.decision = decision;
    }));
  }

  override getArgs(): [Record<string, unknown>, unknown, string] {
    return [this.getMessage(), this.getChannelRef(), this.getPattern()];
  }

  override getArgByIndex(index: number): unknown {
    return this.getArgs()[index];
  }

  /** The handler has returned. @internal */
  ended = false;
}

brand({ MessagingRpcContext });

type Told = (operation: string, decision: Decision) => void;

const INSTEAD: Readonly<Record<string, string>> = {
  publish: 'inject Publisher and publish(route, body, { topic }): the broker confirms it',
  sendToQueue: 'inject Publisher and sendToQueue(queue, body): the broker confirms it',
  ackAll: 'ack the message of each handler',
  nackAll: 'nack the message of each handler',
  prefetch: 'the option «prefetch» of the strategy',
  consume: 'messaging.subscribe({ route, … }, handler)',
  get: 'messaging.receive(route)',
};

function channelOf(told: Told): object {
  const own: Readonly<Record<string, unknown>> = {
    ack: (_message: unknown, allUpTo = false) => told(single('ack', allUpTo), 'ack'),
    nack: (_message: unknown, allUpTo = false, requeue = true) =>
      told(single('nack', allUpTo), requeue ? 'requeue' : 'dead-letter'),
    reject: (_message: unknown, requeue = true) => told('reject', requeue ? 'requeue' : 'dead-letter'),
  };
  return new Proxy(own, {
    get(_, name) {
      // Looked at by whoever awaits, prints or inspects it.
      if (typeof name === 'symbol' || name === 'then' || name === 'toJSON' || name === 'constructor') return undefined;
      if (Object.hasOwn(own, name)) return own[name];
      return () => {
        const help = INSTEAD[name] ?? 'messaging.native(), the client of the broker';
        throw new UnsupportedError(
          `channel.${name} is not there: what stands for the channel settles one message. Use ${help}`,
        );
      };
    },
  });
}

function single(operation: string, allUpTo: boolean): string {
  if (!allUpTo) return operation;
  throw new UnsupportedError(
    `channel.${operation} with «allUpTo» would settle messages of other handlers. Settle each message in its own handler`,
  );
}

function amqpMessage(context: MessageContext): Record<string, unknown> {
  const { raw } = context;
  if (typeof raw === 'object' && raw !== null && 'content' in raw && 'properties' in raw && 'fields' in raw)
    return { ...raw };
  const { id, headers, correlationId, replyTo, body, delivery } = context;
  const { properties, route } = delivery.message;
  return {
    content: body,
    fields: { routingKey: route, redelivered: context.attempt > 1 },
    properties: { ...properties, messageId: id === '' ? undefined : id, correlationId, replyTo, headers },
  };
}
