import { DeliveryLostError, NackError } from '../../errors/handling-errors.js';
import type { Headers } from '../../message/headers.js';
import { nameOf } from '../../message/message-name.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import type { Within } from '../../pipeline/telemetry.js';
import type { SettledAs } from '../settlement/settlement.js';

/** How the handler call of a message ends that is out with whoever received it. */
export interface OpenCall {
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * A message that `messaging.receive` hands out. It stays with its receiver, and takes a slot of the prefetch, until it is
 * settled. The first of `ack` and `nack` decides; calling one of them again changes nothing and gives the same promise.
 */
export class ReceivedMessage<Payload = unknown> {
  private result: Promise<SettledAs> | undefined;
  private tell: ((settled: SettledAs) => void) | undefined;
  private settled: SettledAs | undefined;
  /** Left out: nothing is traced. @internal */
  within: Within | undefined;
  /** The async context that its middleware has made; left out: there is none. @internal */
  inside: Within | undefined;

  /** @internal */
  constructor(
    private readonly context: MessageContext,
    private readonly call: OpenCall,
    /** An earlier one of the same delivery: middleware that calls `next` again. */
    private readonly earlier?: ReceivedMessage<Payload>,
  ) {}

  /** The decoded body; what the schema makes of it, where there is one. */
  get payload(): Payload {
    return this.context.payload as Payload;
  }

  /** The publisher's message id, the same on every redelivery and copy; empty when a foreign publisher gave none. */
  get id(): string {
    return this.context.id;
  }

  /** The route it was published with. */
  get route(): string {
    return this.context.route;
  }

  /** The queue it was taken from. */
  get queue(): string {
    return this.context.queue;
  }

  get key(): string | undefined {
    return this.context.key;
  }

  /** As `MessageContext.headers`. */
  get headers(): Headers {
    return this.context.headers;
  }

  /** Which time the message is received, 1 for the first; what was given back unread does not count. */
  get attempt(): number {
    return this.context.attempt;
  }

  /** When it was first published, in milliseconds since the epoch; undefined when a foreign publisher did not say. */
  get time(): number | undefined {
    return this.context.time;
  }

  /** As `MessageContext.correlationId`. */
  get correlationId(): string | undefined {
    return this.context.correlationId;
  }

  /** As `MessageContext.replyTo`. */
  get replyTo(): string | undefined {
    return this.context.replyTo;
  }

  /** As `MessageContext.body`. */
  get body(): Buffer {
    return this.context.body;
  }

  /** As `MessageContext.raw`. */
  get raw(): unknown {
    return this.context.raw;
  }

  /** Aborted when settling it no longer counts: connection lost, `timeout`, shutdown deadline. */
  get signal(): AbortSignal {
    return this.context.signal;
  }

  /** As `MessageContext.extend`. @throws UnsupportedError */
  extend(ms: number): Promise<void> {
    return this.context.extend(ms);
  }

  /**
   * Calls `work` and gives what it returns, as in a handler: inside of what middleware keeps in an `AsyncLocalStorage`, with
   * what `propagate` names, and with `telemetry` inside the message's `process` span, which spans and publishes are below.
   */
  run<T>(work: () => T): T {
    const { within, inside } = this;
    if (!inside) return within ? within(work) : work();
    return inside(within ? () => within(work) : work);
  }

  /**
   * Done. Resolves with what became of the message, once the broker has taken the ack where it answers acks; never
   * rejects. Anything but `ack` says that it was too late: `retry` or `dead-letter` after a `timeout` or a `nack`,
   * `released` when it was lost or given back, and may come again.
   */
  ack(): Promise<SettledAs> {
    return this.settle(() => this.call.resolve());
  }

  /**
   * Failed: as if a handler had thrown this error, which the retry policy and the dead letters see. Resolves with what
   * became of the message (`retry`, `dead-letter`, …), once its copy is confirmed; never rejects.
   */
  nack(error: unknown = new NackError('The message was given back with nack()')): Promise<SettledAs> {
    return this.settle(() => this.call.reject(error));
  }

  /** @internal */
  became(settled: SettledAs): void {
    this.settled = settled;
    this.tell?.(settled);
    this.earlier?.became(settled);
    if (this.result) return;
    // The call of one that was lost or given up must end, and never as done: what is idempotent would be taken for handled.
    this.call.reject(
      this.context.aborted ?? new DeliveryLostError(`It is settled already: ${nameOf(this.context.delivery.message)}`),
    );
  }

  private settle(end: () => void): Promise<SettledAs> {
    if (this.settled !== undefined) this.result ??= Promise.resolve(this.settled);
    if (this.result) return this.result;
    this.result = new Promise((resolve) => (this.tell = resolve));
    end();
    return this.result;
  }
}
