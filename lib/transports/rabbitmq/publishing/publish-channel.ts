import type { ChannelModel, ConfirmChannel, Message, Options } from 'amqplib';
import { frameMaxOf, openConfirmChannel, publish, type AmqpError } from '../connection/amqplib.js';
import { ConfirmWindow } from './confirm-window.js';
import { checkHeaderFrame, headerFrameLimit } from '../wire/header-frame.js';

/** One message on its way to a confirm. */
export interface InFlight {
  readonly exchange: string;
  readonly routingKey: string;
  readonly body: Buffer;
  readonly options: Options.Publish;
  /** Bytes of a frame that are not for the message's headers. */
  readonly room: number;
  /** When the message was sent, on the monotonic clock. */
  sentAt: number;
  /** The broker gave it back: no queue takes it. Its confirm follows. */
  returned: boolean;
}

export interface PublishChannelListeners<T extends InFlight> {
  readonly acked: (entry: T) => void;
  readonly nacked: (entry: T) => void;
  /** The channel is gone with these entries unresolved, oldest first. `error`: why the broker closed it. */
  ended(unresolved: T[], error: AmqpError | undefined): void;
  defect(error: Error): void;
}

/** A confirm channel that knows what is in flight on it. No consumer is ever on it: a refused publish closes it. */
export class PublishChannel<T extends InFlight> {
  /** Called when nothing is in flight any more, after a result. */
  onDrained?: () => void;
  isOpen = true;
  private readonly window = new ConfirmWindow<T>();
  private channel!: ConfirmChannel;

  private constructor(
    private readonly headerLimit: number | undefined,
    private readonly listeners: PublishChannelListeners<T>,
  ) {}

  static async open<T extends InFlight>(
    model: ChannelModel,
    listeners: PublishChannelListeners<T>,
  ): Promise<PublishChannel<T>> {
    const opened = new PublishChannel<T>(headerFrameLimit(frameMaxOf(model)), listeners);
    const channel = await openConfirmChannel(model, {
      ended: (error) => {
        opened.isOpen = false;
        listeners.ended(opened.window.drain(), error);
      },
      defect: (error) => listeners.defect(error),
    });
    opened.listen(channel);
    return opened;
  }

  get inFlight(): number {
    return this.window.size;
  }

  get oldest(): T | undefined {
    return this.window.oldest;
  }

  /** What was sent at that time or before and is not answered yet, oldest first. */
  sentUntil(time: number): T[] {
    return this.window.filter((entry) => entry.sentAt <= time);
  }

  /** Throws what amqplib throws when it cannot write the message; then nothing was sent. */
  send(entry: T): void {
    if (this.headerLimit !== undefined) checkHeaderFrame(entry.options, this.headerLimit, entry.room);
    publish(this.channel, entry.exchange, entry.routingKey, entry.body, entry.options);
    this.window.push(entry);
  }

  /** `ended` follows when the broker has answered: from then on nothing of it is under way. */
  close(): void {
    this.channel.close().catch(() => {});
  }

  /** The broker does not even answer the closing, or not soon: what it made of the rest nobody will hear. */
  abandon(): void {
    this.isOpen = false;
    this.listeners.ended(this.window.drain(), undefined);
  }

  private listen(channel: ConfirmChannel): void {
    this.channel = channel;
    const { acked, nacked } = this.listeners;
    channel.on('ack', (fields) => this.settle(fields.deliveryTag, fields.multiple, acked));
    channel.on('nack', (fields) => this.settle(fields.deliveryTag, fields.multiple, nacked));
    channel.on('return', (message) => {
      const entry = this.window.find((candidate) => isReturned(candidate, message));
      if (entry) entry.returned = true;
    });
  }

  private settle(tag: number, multiple: boolean, settled: (entry: T) => void): void {
    this.window.settle(tag, multiple, settled);
    if (this.window.size === 0) this.onDrained?.();
  }
}

/** The broker names a returned message by its content only. It is rare: the scan costs nothing that matters. */
function isReturned(entry: InFlight, { fields, properties }: Message): boolean {
  return (
    !entry.returned &&
    entry.options.messageId === properties.messageId &&
    entry.routingKey === fields.routingKey &&
    entry.exchange === fields.exchange
  );
}
