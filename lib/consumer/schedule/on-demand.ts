import type { Concurrency } from './concurrency.js';
import type { Schedule, ScheduledMessage } from './schedule.js';

/** A reader that asks for messages, one at a time. */
export interface Demand {
  /** How many calls have asked and got no message yet. */
  readonly asking: number;
}

/**
 * A message is handled only when somebody asks for one. Until then it waits unread, so that it can be given back without
 * an attempt. For one subscription: it knows which messages are on their way to those who asked.
 */
export class OnDemand implements Concurrency {
  readonly kind = 'on-demand';
  private readonly underWay = new Set<object>();

  constructor(private readonly demand: Demand) {}

  schedule<M extends ScheduledMessage>(): Schedule<M> {
    return new OnDemandSchedule<M>(this.demand, this.underWay);
  }

  /** The message has reached who asked for it. */
  arrived(message: object): void {
    this.underWay.delete(message);
  }
}

/** First come, first served. */
class OnDemandSchedule<M extends ScheduledMessage> implements Schedule<M> {
  readonly waiting = new Set<M>();

  constructor(
    private readonly demand: Demand,
    private readonly underWay: Set<object>,
  ) {}

  admit(message: M): boolean {
    if (this.wanted) {
      this.underWay.add(message);
      return true;
    }
    this.waiting.add(message);
    return false;
  }

  wait(message: M): void {
    this.waiting.add(message);
  }

  next(): M | undefined {
    if (this.waiting.size === 0 || !this.wanted) return undefined;
    const message = this.waiting.values().next().value!;
    this.waiting.delete(message);
    this.underWay.add(message);
    return message;
  }

  /** A message that ends before it arrives (expired, invalid) leaves its place to the next. */
  end(message: M): void {
    this.underWay.delete(message);
  }

  withdraw(message: M): boolean {
    return this.waiting.delete(message);
  }

  private get wanted(): boolean {
    return this.demand.asking > this.underWay.size;
  }
}
