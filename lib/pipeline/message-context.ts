import { UnsupportedError } from '../errors/configuration-errors.js';
import { header, integerHeader, stringHeader, type Headers } from '../message/headers.js';
import type { Delivery } from '../transport/delivery.js';

/** What a handler learns about the message it is called with: its second parameter. */
export class MessageContext {
  /** The decoded body; undefined until it is decoded. */
  payload: unknown;
  private controller: AbortController | undefined;
  private abortReason: unknown;

  /** @internal */
  constructor(
    /** @internal */
    readonly delivery: Delivery,
    /** Number of this handler call, 1 for the first. */
    readonly attempt: number,
  ) {}

  /** The publisher's message id, the same on every redelivery and copy; empty when a foreign publisher gave none. */
  get id(): string {
    return this.delivery.message.id;
  }

  /** The route it was published with. */
  get route(): string {
    return this.delivery.message.route;
  }

  /** The queue it was taken from. */
  get queue(): string {
    return this.delivery.queue;
  }

  get key(): string | undefined {
    return stringHeader(this.delivery.message.headers, header.key);
  }

  /** All headers, the application's and ours. */
  get headers(): Headers {
    return this.delivery.message.headers;
  }

  /** When it was first published, in milliseconds since the epoch; undefined when a foreign publisher did not say. */
  get time(): number | undefined {
    return integerHeader(this.headers, header.time, 0, Number.MAX_SAFE_INTEGER);
  }

  /** The body as it travelled. */
  get body(): Buffer {
    return this.delivery.message.body;
  }

  /** The broker's own message object. */
  get raw(): unknown {
    return this.delivery.raw;
  }

  /** Aborted when the handler's result no longer counts: timeout, shutdown deadline, delivery lost. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.abortReason !== undefined) this.controller.abort(this.abortReason);
    return this.controller.signal;
  }

  /**
   * Asks the broker to leave the message with this handler for `ms` milliseconds from now. Does nothing where deliveries
   * have no lease. @throws UnsupportedError when the broker cannot extend its lease
   */
  async extend(ms: number): Promise<void> {
    if (this.delivery.extend) return this.delivery.extend(ms);
    if (!Number.isFinite(ms)) throw new UnsupportedError('extend(ms) takes a finite number of milliseconds');
  }

  /** Why the result no longer counts; undefined while it does. @internal */
  get aborted(): unknown {
    return this.abortReason;
  }

  /** @internal */
  abort(reason: unknown): void {
    this.abortReason ??= reason;
    this.controller?.abort(this.abortReason);
  }
}
