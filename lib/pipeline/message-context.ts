import type { CancelTimer, Clock } from '../clock/clock.js';
import { brand } from '../errors/brand.js';
import { UnsupportedError } from '../errors/configuration-errors.js';
import { RequestOverdueError } from '../errors/request-errors.js';
import type { CloudEvent } from '../message/cloud-event.js';
import { Decoded, type DecodedFields } from '../message/decoded.js';
import { header, integerHeader, requestHeader, stringHeader, type Headers } from '../message/headers.js';
import { isolateHeaders, viewOf } from '../message/isolate.js';
import type { WireMessage } from '../message/message.js';
import type { Delivery } from '../transport/delivery.js';

/**
 * What a handler learns about the message it is called with: its second parameter. Whatever is done to what it hands out,
 * the next call, a retry and a dead letter have the message as it came.
 */
export class MessageContext {
  /** The decoded body; undefined until it is decoded. */
  payload: unknown;
  /** What the body says of its message. @internal */
  decoded: DecodedFields | undefined;
  /** What an error of the call leads to; left out: nothing decides. @internal */
  policy: { outcomeOf(error: unknown, attempt: number): { readonly type: string } } | undefined;
  private view: WireMessage | undefined;
  private mergedHeaders: Headers | undefined;
  private brokersOwn: unknown;
  private controller: AbortController | undefined;
  private abortReason: unknown;
  private cancelDeadline: CancelTimer | undefined;

  /** @internal */
  constructor(
    /** @internal */
    readonly delivery: Delivery,
    /** Number of this handler call, 1 for the first. */
    readonly attempt: number,
    /** For the deadline; without one the signal does not know of it. @internal */
    private readonly clock?: Clock,
  ) {}

  /** The publisher's message id, the same on every redelivery and copy; empty when a foreign publisher gave none. */
  get id(): string {
    return this.decoded?.id ?? this.delivery.message.id;
  }

  /** The route it was published with, or the one that its body says. */
  get route(): string {
    return this.decoded?.route ?? this.delivery.message.route;
  }

  /** The queue it was taken from. */
  get queue(): string {
    return this.delivery.queue;
  }

  get key(): string | undefined {
    return stringHeader(this.delivery.message.headers, header.key) ?? this.decoded?.key;
  }

  /** All headers, the application's and ours: frozen, with bytes and dates of this call's own. */
  get headers(): Headers {
    const { headers } = this.own;
    if (this.decoded?.headers === undefined) return headers;
    return (this.mergedHeaders ??= Object.freeze({ ...headers, ...isolateHeaders(this.decoded.headers) }));
  }

  /** When it was first published, in milliseconds since the epoch; undefined when a foreign publisher did not say. */
  get time(): number | undefined {
    const { headers } = this.delivery.message;
    return this.decoded?.time ?? integerHeader(headers, header.time, 0, Number.MAX_SAFE_INTEGER);
  }

  /** What its publisher gave as `correlationId`; the same in every retry, dead letter and redrive. */
  get correlationId(): string | undefined {
    return this.decoded?.correlationId ?? this.delivery.message.properties.correlationId;
  }

  /** Where its publisher wants the answer: what it gave as `replyTo`. */
  get replyTo(): string | undefined {
    return this.decoded?.replyTo ?? this.delivery.message.properties.replyTo;
  }

  /** Until when whoever sent the request waits for its reply, in milliseconds since the epoch; undefined for what is no request. */
  get deadline(): number | undefined {
    return integerHeader(this.delivery.message.headers, requestHeader.deadline, 0, Number.MAX_SAFE_INTEGER);
  }

  /** The attributes of a CloudEvent, where `cloudEvents()` of `nestjs-messaging/serializers` has read one. */
  get cloudEvent(): CloudEvent | undefined {
    return this.decoded?.cloudEvent;
  }

  /** The body as it travelled: a copy of this call's own, made when it is first asked for. */
  get body(): Buffer {
    return this.own.body;
  }

  /** The message as the broker's client hands it over: a copy of this call's own, made when it is first asked for. */
  get raw(): unknown {
    return (this.brokersOwn ??= this.delivery.raw);
  }

  /** Aborted when the handler's result no longer counts: timeout, shutdown deadline, delivery lost, the `deadline` of a request. */
  get signal(): AbortSignal {
    if (!this.controller) {
      this.controller = new AbortController();
      this.watchDeadline();
    }
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

  /** Whether the message is given up (a dead letter) when its call fails with this error: no retry follows. */
  givesUp(error: unknown): boolean {
    try {
      return this.policy !== undefined && this.policy.outcomeOf(error, this.attempt).type !== 'retry';
    } catch {
      return true;
    }
  }

  /** Takes what `decode` gave. @internal */
  take(decoded: unknown): void {
    const more = decoded instanceof Decoded ? decoded : undefined;
    this.decoded = more?.fields;
    this.payload = more ? more.payload : decoded;
  }

  /** The call has ended. @internal */
  ended(): void {
    this.cancelDeadline?.();
  }

  private watchDeadline(): void {
    const { clock, deadline } = this;
    if (!clock || deadline === undefined) return;
    const abort = (): void => this.abort(new RequestOverdueError('Whoever sent the request waits no longer'));
    this.cancelDeadline = clock.after(Math.max(0, deadline - clock.now()), abort, { background: true });
  }

  private get own(): WireMessage {
    return (this.view ??= viewOf(this.delivery.message));
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

brand({ MessageContext });
