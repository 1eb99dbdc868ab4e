import type { WireMessage } from '../../message/message.js';
import type { Dispatcher, Job } from './dispatcher.js';
import { Fifo } from './fifo.js';
import { MinHeap } from './min-heap.js';
import type { Schedule } from './schedule.js';

/** A message in a queue. */
export interface StoredMessage {
  readonly message: WireMessage;
  /** Undefined: sent to the queue by its name. */
  readonly topic: string | undefined;
  /** The place among all messages the queue ever took. */
  readonly position: number;
  /** How often the message came back unsettled. */
  deliveryCount: number;
}

/** A consumer that a queue hands messages to. */
export interface AttachedConsumer {
  /** Takes one more just now. */
  readonly hasRoom: boolean;
  deliver(stored: StoredMessage, from: MemoryQueue): void;
  /** The queue ended the consumption. */
  cancelled(reason: string): void;
}

export interface QueueArguments {
  readonly deadLetter: { readonly topic: string; readonly queue: string; readonly route: string } | undefined;
  readonly maxMessages: number;
  /** The queue goes when nobody has consumed it for so long. */
  readonly expiresMs: number | undefined;
}

/**
 * A queue as RabbitMQ has it: consumers take turns, what comes back unsettled goes to where it was, and counts it.
 */
export class MemoryQueue implements Job {
  scheduled = false;
  /** Handed out and not settled yet. */
  unsettled = 0;
  private deleted = false;
  /** Everything in `returned` was taken from `fresh` once, hence is older than all that is in it now. */
  private readonly returned = new MinHeap<StoredMessage>((a, b) => a.position < b.position);
  private readonly fresh = new Fifo<StoredMessage>();
  private consumers: AttachedConsumer[] = [];
  private turn = 0;
  private position = 0;
  /** Counts the beginnings of times in which nobody consumes it, and their ends. */
  private uses = 0;

  constructor(
    readonly name: string,
    readonly args: QueueArguments,
    /** The one that has declared it first. */
    readonly service: string,
    private readonly dispatcher: Dispatcher,
    private readonly schedule: Schedule,
    private readonly expired: () => void,
  ) {
    this.unused();
  }

  get ready(): number {
    return this.returned.size + this.fresh.size;
  }

  get consumerCount(): number {
    return this.consumers.length;
  }

  /** The place that the next message will have: what is there now is before it. */
  get end(): number {
    return this.position;
  }

  /** False: it is full. */
  offer(message: WireMessage, topic: string | undefined): boolean {
    if (this.ready >= this.args.maxMessages) return false;
    this.fresh.push({ message, topic, position: this.position++, deliveryCount: 0 });
    this.wake();
    return true;
  }

  /** The first one before the place `end`, which is the caller's to settle with `forget` or `giveBack`. */
  take(end = Infinity): StoredMessage | undefined {
    const source = this.returned.size > 0 ? this.returned : this.fresh;
    const first = source.peek();
    if (!first || first.position >= end) return undefined;
    this.unsettled++;
    return source === this.fresh ? this.fresh.shift() : this.returned.pop();
  }

  /** A message that was taken is done. */
  forget(): void {
    this.unsettled--;
    this.wake();
  }

  /** A message that was taken comes back, now or later. Neither place nor count is lost by waiting. */
  giveBack(stored: StoredMessage, delayMs = 0): void {
    this.unsettled--;
    stored.deliveryCount++;
    if (delayMs > 0) this.schedule.after(delayMs, () => this.restore(stored));
    else this.restore(stored);
    this.wake();
  }

  attach(consumer: AttachedConsumer): void {
    this.uses++;
    this.consumers.push(consumer);
    this.wake();
  }

  detach(consumer: AttachedConsumer): void {
    this.consumers = this.consumers.filter((other) => other !== consumer);
    if (this.consumers.length === 0) this.unused();
  }

  /** Some consumer may have room again, or there is something new. */
  wake(): void {
    if (this.consumers.length > 0 && this.ready > 0) this.dispatcher.schedule(this);
  }

  /** Ends the consumption of every consumer, as `basic.cancel` does. What they hold stays theirs to settle. */
  cancelConsumers(reason: string): void {
    const { consumers } = this;
    this.consumers = [];
    for (const consumer of consumers) consumer.cancelled(reason);
    this.unused();
  }

  /** Nobody consumes it from now on. */
  private unused(): void {
    const { expiresMs } = this.args;
    if (expiresMs === undefined || this.deleted || this.consumers.length > 0) return;
    const uses = ++this.uses;
    this.schedule.after(expiresMs, () => {
      if (uses === this.uses && !this.deleted) this.expired();
    });
  }

  /** Its messages are gone; settling one that is still out does nothing. */
  delete(): void {
    this.deleted = true;
    this.returned.clear();
    this.fresh.clear();
    this.cancelConsumers(`queue «${this.name}» was deleted`);
  }

  run(limit: number): number {
    let steps = 0;
    try {
      while (steps < limit && this.ready > 0) {
        const consumer = this.nextConsumer();
        if (!consumer) return steps;
        steps++;
        consumer.deliver(this.take()!, this);
      }
    } finally {
      if (steps > 0) this.wake();
    }
    return steps;
  }

  private restore(stored: StoredMessage): void {
    if (this.deleted) return;
    this.returned.push(stored);
    this.wake();
  }

  private nextConsumer(): AttachedConsumer | undefined {
    const count = this.consumers.length;
    for (let tried = 0; tried < count; tried++) {
      const at = (this.turn + tried) % count;
      const consumer = this.consumers[at];
      if (!consumer.hasRoom) continue;
      this.turn = at + 1;
      return consumer;
    }
    return undefined;
  }
}
