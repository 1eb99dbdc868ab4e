import type { Headers } from '../message/headers.js';
import type { Messaging } from '../messaging.js';
import type { Serializer } from '../message/serializer.js';
import { decode } from '../pipeline/decode.js';
import { Decoded } from '../message/decoded.js';
import type { PublishMiddleware } from '../publisher/publish-middleware.js';
import type { DeliveryView } from '../transport/delivery-view.js';

interface Recorded {
  /** The connection's name; `default` for the unnamed one. */
  readonly connection: string;
  readonly id: string;
  readonly route: string;
  /** The queue it was sent to by its name, or taken from. */
  readonly queue: string | undefined;
  readonly headers: Headers;
}

/** A publish that was accepted. */
export interface PublishedMessage extends Recorded {
  /** What was handed to `publish`. */
  readonly body: unknown;
  readonly outcome: 'confirmed' | 'queued';
}

/** A message whose handler has succeeded, and that was acked. */
export interface HandledMessage extends Recorded {
  readonly queue: string;
  /** Number of the handler call, 1 for the first. */
  readonly attempt: number;
  /** The body as it is decoded. */
  readonly payload: unknown;
}

/** A handler call that failed. */
export interface FailedCall extends HandledMessage {
  readonly error: unknown;
}

/** A message that was given up, and confirmed by its dead-letter queue. */
export interface DeadLetteredMessage extends HandledMessage {
  readonly reason: string;
  readonly error: unknown;
}

/** A publish that was refused. */
export interface RefusedPublish {
  readonly connection: string;
  readonly route: string;
  readonly error: unknown;
}

/** What has happened so far, in order; at most the last 10,000 of each. */
export interface MessagingHistory {
  readonly published: readonly PublishedMessage[];
  readonly handled: readonly HandledMessage[];
  readonly failed: readonly FailedCall[];
  readonly deadLettered: readonly DeadLetteredMessage[];
  /** Given up with `dlq: false`, or by the wish of a handler. */
  readonly dropped: readonly HandledMessage[];
  readonly refused: readonly RefusedPublish[];
}

/** So many of each are kept; then the oldest are forgotten. */
const MAX_KEPT = 10_000;

/** What has happened on the connections of an application, in order. */
export class Journal implements MessagingHistory {
  readonly published: PublishedMessage[] = [];
  readonly handled: HandledMessage[] = [];
  readonly failed: FailedCall[] = [];
  readonly deadLettered: DeadLetteredMessage[] = [];
  readonly dropped: HandledMessage[] = [];
  readonly refused: RefusedPublish[] = [];
  /** Deliveries whose handler runs, or that are being settled. */
  private readonly underWay = new Set<DeliveryView>();
  /** Grows with everything that happens. */
  version = 0;

  constructor(private readonly changed: () => void) {}

  get running(): number {
    return this.underWay.size;
  }

  clear(): void {
    const all = [this.published, this.handled, this.failed, this.deadLettered, this.dropped, this.refused];
    for (const records of all) records.length = 0;
  }

  /** Sees every publish as it is sent, after the application's own middleware. */
  publishing(connection: string): PublishMiddleware {
    return async (request, next) => {
      const { route, queue, body, options } = request;
      try {
        const receipt = await next(request);
        const { id, outcome } = receipt;
        this.add(this.published, { connection, id, route, queue, headers: options.headers ?? {}, body, outcome });
        return receipt;
      } catch (error) {
        this.add(this.refused, { connection, route, error });
        throw error;
      }
    };
  }

  observe(messaging: Messaging): void {
    const { connection, events } = messaging;
    const recordOf = (delivery: DeliveryView, attempt: number): HandledMessage => {
      const { queue, message } = delivery;
      const { payload, fields = {} } = decodedOf(delivery, messaging.serializerOf(queue));
      const { id = message.id, route = message.route, headers } = fields;
      return { connection, id, route, queue, headers: { ...message.headers, ...headers }, attempt, payload };
    };
    // Messages that their subscription recognised are acked, and not handled.
    const duplicates = new Set<string>();
    events.on('duplicate', ({ id, queue, state }) => {
      if (state === 'done') duplicates.add(`${queue}\n${id}`);
    });
    events.on('delivered', ({ delivery }) => {
      this.underWay.add(delivery);
      this.happened();
    });
    events.on('settled', ({ delivery, attempt, outcome, error }) => {
      this.underWay.delete(delivery);
      const record = recordOf(delivery, attempt);
      if (outcome === 'ack' && !duplicates.delete(`${delivery.queue}\n${record.id}`)) this.add(this.handled, record);
      else if (outcome === 'retry' && error !== undefined) this.add(this.failed, { ...record, error });
      else if (outcome === 'discard') this.add(this.dropped, record);
      else this.happened();
    });
    events.on('dead-lettered', ({ delivery, attempt, reason, error }) =>
      this.add(this.deadLettered, { ...recordOf(delivery, attempt), reason, error }),
    );
    for (const name of ['connected', 'disconnected', 'blocked', 'unblocked', 'queued', 'kill-switch'] as const)
      events.on(name, () => this.happened());
  }

  private add<T>(records: T[], record: T): void {
    records.push(record);
    if (records.length > MAX_KEPT) records.shift();
    this.happened();
  }

  private happened(): void {
    this.version++;
    this.changed();
  }
}

/** Nothing where the body cannot be decoded. */
function decodedOf({ message }: DeliveryView, serializer: Serializer): Partial<Decoded> {
  try {
    const decoded = decode(message, serializer);
    return decoded instanceof Decoded ? decoded : { payload: decoded };
  } catch {
    return {};
  }
}
