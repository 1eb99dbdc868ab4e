import type { CancelTimer, Clock } from '../../clock/clock.js';
import { Outcome } from '../../pipeline/outcome.js';
import type { Work } from './work.js';

/** Messages that failed and wait here for their next call, unsettled, so that they keep their turn. */
export class HeldMessages {
  /** With the timer until the next call; a message without one is due, and waits for a lane. */
  private readonly timers = new Map<Work, CancelTimer | undefined>();
  private suspended = false;

  constructor(
    private readonly maxHoldMs: number,
    private readonly clock: Clock,
    private readonly due: (work: Work) => void,
  ) {}

  get size(): number {
    return this.timers.size;
  }

  /** Says that of so many messages in this process all are held; undefined when they are not. */
  congestion(running: number): string | undefined {
    if (this.size === 0 || this.size < running) return undefined;
    return `lanes full: ${this.size} failed ${this.size === 1 ? 'message' : 'messages'} held, the rest waits behind`;
  }

  /** All, in the order in which they were held. */
  works(): Work[] {
    return [...this.timers.keys()];
  }

  has(work: Work): boolean {
    return this.timers.has(work);
  }

  isDue(work: Work): boolean {
    return this.has(work) && this.timers.get(work) === undefined;
  }

  /** Calls `due` after the delay; false when the message would be held for too long by then. */
  hold(work: Work, delayMs: number): boolean {
    const now = this.clock.monotonic();
    work.heldSince ??= now;
    if (now + delayMs - work.heldSince > this.maxHoldMs) return false;
    this.timers.set(work, this.suspended ? nothing : this.clock.after(delayMs, () => this.fire(work)));
    return true;
  }

  /** The message is held no longer; false: it was not. */
  drop(work: Work): boolean {
    this.timers.get(work)?.();
    return this.timers.delete(work);
  }

  /** No message is due from now on: all are about to be given back. */
  suspend(): void {
    this.suspended = true;
    for (const cancel of this.timers.values()) cancel?.();
  }

  private fire(work: Work): void {
    this.timers.set(work, undefined);
    this.due(work);
  }
}

function nothing(): void {}

/** What becomes of a message whose next call is too far away to be waited for here. */
export function withoutHold(outcome: Outcome): Outcome {
  return outcome.type === 'defer' ? outcome : Outcome.deadLetter('hold-exceeded', outcome.error);
}
