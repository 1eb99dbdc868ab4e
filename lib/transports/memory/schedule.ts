import type { CancelTimer, Clock } from '../../clock/clock.js';
import { MinHeap } from './min-heap.js';
import { inOwnContext } from './own-context.js';

interface Appointment {
  readonly due: number;
  readonly order: number;
  readonly action: () => void;
}

/** Calls actions at their times, equal times in the order they were asked for. One timer, for the earliest. */
export class Schedule {
  private readonly appointments = new MinHeap<Appointment>(
    (a, b) => a.due < b.due || (a.due === b.due && a.order < b.order),
  );
  private order = 0;
  private armedFor = Infinity;
  private cancel: CancelTimer = () => {};

  constructor(private readonly clock: () => Clock) {}

  get size(): number {
    return this.appointments.size;
  }

  /** Durations, not wall-clock times, are kept: a clock that is set back or forth moves no delivery. */
  after(delayMs: number, action: () => void): void {
    const due = this.clock().monotonic() + delayMs;
    this.appointments.push({ due, order: this.order++, action });
    this.arm();
  }

  private arm(): void {
    const next = this.appointments.peek();
    if (!next || next.due >= this.armedFor) return;
    this.cancel();
    this.armedFor = next.due;
    this.cancel = this.clock().after(next.due - this.clock().monotonic(), () => inOwnContext(() => this.run()), {
      // The broker may outlive every application that used it.
      background: true,
    });
  }

  private run(): void {
    this.armedFor = Infinity;
    const now = this.clock().monotonic();
    try {
      while (this.appointments.size > 0 && this.appointments.peek()!.due <= now) this.appointments.pop()!.action();
    } finally {
      this.arm();
    }
  }
}
