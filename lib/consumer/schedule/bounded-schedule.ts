import type { Schedule, ScheduledMessage } from './schedule.js';

/** First come, first served, at most `limit` at a time. */
export class BoundedSchedule<M extends ScheduledMessage> implements Schedule<M> {
  readonly waiting = new Set<M>();
  private running = 0;

  constructor(private readonly limit: number) {}

  admit(message: M): boolean {
    if (this.running < this.limit) {
      this.running++;
      return true;
    }
    this.waiting.add(message);
    return false;
  }

  wait(message: M): void {
    this.waiting.add(message);
  }

  next(): M | undefined {
    if (this.waiting.size === 0 || this.running >= this.limit) return undefined;
    const message = this.waiting.values().next().value!;
    this.waiting.delete(message);
    this.running++;
    return message;
  }

  end(): void {
    this.running--;
  }

  withdraw(message: M): boolean {
    return this.waiting.delete(message);
  }
}
