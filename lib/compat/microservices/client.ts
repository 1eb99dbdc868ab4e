import { randomUUID } from 'node:crypto';
import {
  ClientProxy,
  type ProducerDeserializer,
  type ProducerSerializer,
  type ReadPacket,
  RmqRecord,
  type RmqRecordOptions,
  type WritePacket,
} from '@nestjs/microservices';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { checkShortText, knownKeys } from '../../errors/option-checks.js';
import { errorMessage } from '../../errors/redact.js';
import type { MessagingEventMap, MessagingEventName } from '../../events/messaging-events.js';
import { type Headers, requestHeader } from '../../message/headers.js';
import type { WireMessage } from '../../message/message.js';
import type { Serializer } from '../../message/serializer.js';
import type { Messaging } from '../../messaging.js';
import { isThenable } from '../../pipeline/thenable.js';
import type { PublishOptions, UnroutablePolicy } from '../../publisher/publish-options.js';
import type { Receipt } from '../../publisher/receipt.js';
import { parsed } from './packets.js';
import { publishOptionsOf } from './record-options.js';

/** Options of `MessagingClient`. */
export interface MessagingClientOptions {
  /** The connection it works on: the `Messaging` of the application. */
  readonly messaging: Messaging;
  /** The queue that everything is sent to by its name. Default: none, a pattern is a route. */
  readonly queue?: string;
  /** Where routes are published (RabbitMQ: the exchange). Default: the transport's. */
  readonly topic?: string;
  /** Sent with every message, under those of a record. */
  readonly headers?: Headers;
  /** Milliseconds to wait for the next reply to `send`. Default 10,000. */
  readonly timeout?: number;
  /** Of events that no queue takes. Default: the module's. */
  readonly unroutable?: UnroutablePolicy;
  /** Nest's own, for what is sent. Default: a record's data, its options apart. */
  readonly serializer?: ProducerSerializer;
  /** Nest's own, for replies. Default: Nest's envelope, and any other body as the only reply. */
  readonly deserializer?: ProducerDeserializer;
}

interface ReplyPacket {
  readonly err?: unknown;
  readonly response?: unknown;
  readonly isDisposed?: boolean;
}

type Status = 'connected' | 'disconnected' | 'blocked' | 'unblocked';
type Events = { [Name in MessagingEventName]: (payload: MessagingEventMap[Name]) => void };

const STATUS = ['connected', 'disconnected', 'blocked', 'unblocked'] as const;
const NAMES = ['messaging', 'queue', 'topic', 'headers', 'timeout', 'unroutable', 'serializer', 'deserializer'];

/**
 * Nest's client on this package: `emit` publishes an event, `send` a request, in Nest's envelope, so that servers of Nest's
 * and of this package understand them. With `ClientsModule`: `{ customClass: MessagingClient, options: { messaging } }`.
 */
export class MessagingClient extends ClientProxy<Events, Status> {
  private readonly messaging: Messaging;
  private readonly offs: (() => void)[] = [];
  private readonly sending = new Set<AbortController>();

  /** @throws InvalidOptionError */
  constructor(private readonly options: MessagingClientOptions) {
    super();
    knownKeys('MessagingClient', options, NAMES);
    const { messaging, serializer = RECORDS, deserializer = RESPONSES, queue } = options;
    if (typeof messaging?.publisher?.publish !== 'function')
      throw new InvalidOptionError('messaging', messaging, 'the Messaging of a connection: app.get(Messaging)');
    if (queue !== undefined) checkShortText('queue', queue);
    this.messaging = messaging;
    this.serializer = serializer;
    this.deserializer = deserializer;
    for (const status of STATUS) this.offs.push(messaging.events.on(status, () => this._status$.next(status)));
  }

  /** Nothing to do: the connection is that of the application. */
  async connect(): Promise<void> {}

  /** Ends the requests that wait; the connection stays. */
  close(): void {
    for (const controller of this.sending) controller.abort(new Error('The client was closed'));
    for (const off of this.offs.splice(0)) off();
  }

  /** Events of `messaging.events`, by name. */
  override on<Name extends MessagingEventName>(event: Name, callback: Events[Name]): void {
    this.offs.push(this.messaging.events.on(event, callback));
  }

  /** The `Messaging` that it works on. */
  unwrap<T = Messaging>(): T {
    return this.messaging as T;
  }

  protected publish(packet: ReadPacket, callback: (packet: WritePacket) => void): () => void {
    const controller = new AbortController();
    const id = randomUUID();
    try {
      const { route, body, publish } = this.written({ ...packet, id });
      const { queue, timeout } = this.options;
      const take = this.taker(callback);
      this.sending.add(controller);
      this.messaging.requester
        .converse(
          route,
          body,
          { signal: controller.signal, ...(timeout !== undefined && { timeout }) },
          { id, publish, take, ...(queue !== undefined && { queue }) },
        )
        .catch((err: unknown) => callback({ err }))
        .finally(() => this.sending.delete(controller));
    } catch (err) {
      callback({ err });
    }
    return () => controller.abort(new Error('Nobody listens any more'));
  }

  /** Resolves with the receipt: confirmed, or kept until it can be sent. */
  protected async dispatchEvent<T = Receipt>(packet: ReadPacket): Promise<T> {
    const { messaging, options } = this;
    const { queue, unroutable } = options;
    try {
      const { route, body, publish } = this.written(packet);
      const policy = { ...(unroutable !== undefined && { unroutable }), ...publish };
      const sent =
        queue === undefined
          ? messaging.publisher.publish(route, body, policy)
          : messaging.publisher.sendToQueue(queue, body, policy);
      return (await sent) as T;
    } catch (error) {
      // `emit` is hot: often nobody listens to what it returns.
      messaging.environment.log.warn(`An event could not be emitted: ${errorMessage(error)}`);
      throw error;
    }
  }

  /** Nest's packet, and how it travels. @throws what its serializer throws, UnsupportedError, InvalidOptionError */
  private written(packet: ReadPacket & { id?: string }): { route: string; body: unknown; publish: PublishOptions } {
    const { options, ...body } = this.serializer.serialize(packet) as ReadPacket & { options?: RmqRecordOptions };
    const { publish, contentType } = publishOptionsOf(options, this.options.headers);
    const { topic } = this.options;
    return {
      route: this.normalizePattern(packet.pattern as string),
      body,
      publish: {
        ...publish,
        ...(topic !== undefined && { topic }),
        serializer: contentType === undefined ? JSON_PACKETS : packets(contentType),
      },
    };
  }

  /** Hands replies on in their order, also where the deserializer takes its time. */
  private taker(callback: (packet: WritePacket) => void): (reply: WireMessage, end: () => void) => void {
    let before: Promise<void> | undefined;
    return (reply, end) => {
      const told = ({ err, response, isDisposed }: ReplyPacket): void => {
        const isLast = isDisposed === true || Boolean(err);
        if (isLast) end();
        callback({ err, response, ...(isLast && { isDisposed: true }) });
      };
      const failed = (err: unknown): void => told({ err });
      try {
        const read = this.read(reply);
        if (isThenable(read))
          read.then(undefined, () => undefined); // Also of one that fails before it is its turn.
        else if (before === undefined) return told(read);
        before = (before ?? Promise.resolve()).then(() => read).then(told, failed);
      } catch (error) {
        failed(error);
      }
    };
  }

  private read({ body, headers, properties }: WireMessage): ReplyPacket | Promise<ReplyPacket> {
    if (body.length === 0) return { isDisposed: true };
    const value = parsed(body);
    const packet = this.deserializer.deserialize(value, { ...properties, headers }) as
      ReplyPacket | Promise<ReplyPacket>;
    // An error of a responder that does not speak Nest's envelope.
    const { err, response } = packet as ReplyPacket;
    return requestHeader.error in headers && !err && response !== undefined ? { err: response } : packet;
  }
}

/** As Nest writes them. */
function packets(contentType: string): Serializer {
  return {
    serialize: (packet) => ({ body: Buffer.from(JSON.stringify(packet)), contentType }),
    deserialize: parsed,
  };
}

const JSON_PACKETS = packets('application/json');

const RECORDS: ProducerSerializer = {
  serialize(packet: ReadPacket): unknown {
    const { data } = packet as { readonly data: unknown };
    return data instanceof RmqRecord ? { ...packet, data: data.data as unknown, options: data.options } : packet;
  },
};

const RESPONSES: ProducerDeserializer = {
  deserialize(value: unknown): ReplyPacket {
    const { err, response, isDisposed } = (value ?? {}) as ReplyPacket;
    const isPacket = err !== undefined || response !== undefined || isDisposed !== undefined;
    return isPacket ? (value as ReplyPacket) : { response: value, isDisposed: true };
  },
} as ProducerDeserializer;
