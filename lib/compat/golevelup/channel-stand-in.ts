import type { Channel, ConsumeMessage, Options } from 'amqplib';
import { UnsupportedError } from '../../errors/configuration-errors.js';
import type { CompatPublishing } from './publishing.js';

type Decision = 'ack' | 'nack' | 'requeue';

/** What error handlers get for a channel: it remembers what they decide, and publishes. All else is refused by name. */
export class ChannelStandIn {
  private readonly decisions = new Map<ConsumeMessage, Decision>();
  private readonly sent: Promise<boolean>[] = [];

  constructor(
    private readonly publishing: CompatPublishing,
    private readonly messages: readonly ConsumeMessage[],
  ) {}

  asChannel(): Channel {
    const methods: Record<string, unknown> = {
      ack: (message: ConsumeMessage, allUpTo?: boolean) => this.decide('ack', message, allUpTo),
      nack: (message: ConsumeMessage, allUpTo?: boolean, requeue = true) =>
        this.decide(requeue ? 'requeue' : 'nack', message, allUpTo),
      reject: (message: ConsumeMessage, requeue = true) => this.decide(requeue ? 'requeue' : 'nack', message),
      publish: (exchange: string, key: string, content: Buffer, options?: Options.Publish) =>
        this.send(exchange, key, content, options),
      sendToQueue: (queue: string, content: Buffer, options?: Options.Publish) =>
        this.send('', queue, content, options),
    };
    return new Proxy(methods, {
      get(_, name) {
        if (typeof name !== 'string' || name === 'then' || name in methods) return methods[name as string];
        throw new UnsupportedError(
          `channel.${name}: an error handler has ack, nack, reject, publish and sendToQueue. For all else there is messaging.native().consuming, amqplib's connection`,
        );
      },
    }) as unknown as Channel;
  }

  /** The last one; undefined: there is none. */
  decisionOf(message: ConsumeMessage): Decision | undefined {
    return this.decisions.get(message);
  }

  /** Rejects where something was not sent: the message must not be settled then. */
  async published(): Promise<void> {
    await Promise.all(this.sent);
  }

  private decide(decision: Decision, message: ConsumeMessage, allUpTo = false): void {
    if (allUpTo)
      throw new UnsupportedError('channel.ack and channel.nack with «allUpTo»: settle each message by itself');
    if (!this.messages.includes(message)) throw new UnsupportedError('Only the message of the handler can be settled');
    this.decisions.set(message, decision);
  }

  private send(exchange: string, key: string, content: Buffer, options?: Options.Publish): boolean {
    const sending = this.publishing.publish(exchange, key, content, options);
    sending.catch(() => undefined);
    this.sent.push(sending);
    return true;
  }
}
