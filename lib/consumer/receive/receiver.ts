import { AsyncLocalStorage } from 'node:async_hooks';
import type { MessageContext } from '../../pipeline/message-context.js';
import { Outcome } from '../../pipeline/outcome.js';
import type { ConsumerTelemetry, ReceiveTrace } from '../../pipeline/telemetry.js';
import type { Delivery } from '../../transport/delivery.js';
import { ReceivedMessage } from './received-message.js';
import type { SettledAs } from '../settlement/settlement.js';

/** The subscription that a receiver reads from. */
export interface ReceiverSource {
  /** Undefined: nothing is traced. */
  readonly telemetry: ConsumerTelemetry | undefined;
  /** Reserves the queue and begins to consume. @throws SubscriptionConflictError, TopologyMismatchError, … */
  start(): Promise<void>;
  /** A message is asked for. */
  asked(): void;
  /** The delivery has reached the caller that asked. */
  arrived(delivery: Delivery): void;
  /** Resolves when nothing comes any more, and what nobody has read is given back. */
  leave(): Promise<void>;
  /** What nobody read after all is free to go; what is still held is waited for, up to a deadline. */
  left(): void;
}

interface Reader<Payload> {
  readonly trace: ReceiveTrace | undefined;
  resolve(result: IteratorResult<ReceivedMessage<Payload>, undefined>): void;
  reject(error: unknown): void;
}

interface Unread<Payload> {
  readonly message: ReceivedMessage<Payload>;
  readonly delivery: Delivery;
  readonly giveBack: () => void;
}

const DONE: IteratorResult<never, undefined> = Object.freeze({ done: true, value: undefined });

/**
 * The messages of one queue, for `for await`. It begins to consume when the first is asked for, and keeps at most
 * `prefetch` here, read or not. Several loops over one receiver share its messages; when one is left, all end.
 */
export class Receiver<Payload = unknown> implements AsyncIterableIterator<ReceivedMessage<Payload>, undefined> {
  private source: ReceiverSource | undefined;
  private readonly readers: Reader<Payload>[] = [];
  /** The message came when nobody asked any more: middleware took its time, or called `next` again. */
  private readonly unread: Unread<Payload>[] = [];
  private readonly held = new Map<Delivery, ReceivedMessage<Payload>>();
  private started = false;
  private ending: Promise<void> | undefined;
  private ended = false;
  private readonly onAbort = (): void => void this.end();

  /** @internal */
  constructor(
    private readonly signal: AbortSignal | undefined,
    /** There is middleware around each message. */
    private readonly wrapped: boolean,
  ) {}

  /** @internal */
  from(source: ReceiverSource): this {
    this.source = source;
    return this;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * The next message; `done` when the receiver was left, its signal aborted, or the application is shutting down. The first
   * call rejects with what makes the subscription impossible. @throws SubscriptionConflictError, TopologyMismatchError
   */
  next(): Promise<IteratorResult<ReceivedMessage<Payload>, undefined>> {
    if (this.signal?.aborted) void this.end();
    if (this.ending) return Promise.resolve(DONE);
    const trace = this.telemetry?.receive();
    const earlier = this.unread.shift();
    if (earlier) return Promise.resolve(handedOut(earlier.message, earlier.delivery, trace));
    return new Promise((resolve, reject) => {
      this.readers.push({ trace, resolve, reject });
      if (this.started) this.source?.asked();
      else this.start();
    });
  }

  /**
   * Leaves, as `break` does: what was not read goes back, with no attempt spent. What was read and is not settled yet can
   * still be, for as long as `shutdownTimeout`; then it is given back, too.
   */
  async return(): Promise<IteratorResult<never, undefined>> {
    await this.end();
    return DONE;
  }

  /** Every waiting reader is done, and what nobody has read goes back. It does not reject. @internal */
  end(): Promise<void> {
    return (this.ending ??= this.leave());
  }

  /** @internal */
  get telemetry(): ConsumerTelemetry | undefined {
    return this.source?.telemetry;
  }

  /** @internal */
  get asking(): number {
    return this.readers.length;
  }

  /** A message for whoever asked; the promise is its handler call. @internal */
  handle(context: MessageContext): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { delivery } = context;
      const call = { resolve: () => resolve(undefined), reject };
      const message = new ReceivedMessage<Payload>(context, call, this.held.get(delivery));
      if (this.wrapped) message.inside = AsyncLocalStorage.snapshot();
      this.held.set(delivery, message);
      this.source?.arrived(delivery);
      const reader = this.readers.shift();
      if (reader) reader.resolve(handedOut(message, delivery, reader.trace));
      else if (this.ended) resolve(Outcome.giveBack);
      else this.unread.push({ message, delivery, giveBack: () => resolve(Outcome.giveBack) });
    });
  }

  /** @internal */
  settled(delivery: Delivery, settled: SettledAs): void {
    const message = this.held.get(delivery);
    if (!message) return;
    this.held.delete(delivery);
    const unread = this.unread.findIndex((one) => one.message === message);
    if (unread >= 0) this.unread.splice(unread, 1);
    message.became(settled);
  }

  private start(): void {
    this.started = true;
    this.signal?.addEventListener('abort', this.onAbort, { once: true });
    this.source!.start().catch((error: unknown) => {
      this.readers.shift()?.reject(error);
      void this.end();
    });
  }

  private async leave(): Promise<void> {
    this.signal?.removeEventListener('abort', this.onAbort);
    for (const reader of this.readers.splice(0)) reader.resolve(DONE);
    await this.source?.leave();
    this.ended = true;
    for (const { giveBack } of this.unread.splice(0)) giveBack();
    this.source?.left();
  }
}

function handedOut<Payload>(
  message: ReceivedMessage<Payload>,
  delivery: Delivery,
  trace: ReceiveTrace | undefined,
): IteratorResult<ReceivedMessage<Payload>, undefined> {
  if (trace) message.within = trace.received(delivery);
  return { done: false, value: message };
}
