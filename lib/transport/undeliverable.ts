import { nameOf } from '../message/message-name.js';
import type { WireMessage } from '../message/message.js';
import type { TransportEnvironment } from './transport.js';

/** A message not seen again for this long was taken over by another process, or delivered. */
const FORGET_AFTER_MS = 180_000;
const MOST = 10_000;

const FIRST_ROUND_MS = 5_000;
const LONGEST_ROUND_MS = 60_000;

/** Before a due message that could not be sent on for a passing reason is tried again. */
export const RETRY_MS = 1_000;

/** How long a due message that nobody takes waits after its round, counted from 0. Milliseconds. */
export function pauseAfter(round: number): number {
  return Math.min(FIRST_ROUND_MS * 2 ** Math.min(round, 10), LONGEST_ROUND_MS);
}

/** Delayed messages that were due and that nobody took, as far as this process has seen them, each by a key of its own. */
export class Undeliverable<K extends string | number> {
  private readonly lastSeen = new Map<K, number>();

  constructor(private readonly environment: Pick<TransportEnvironment, 'clock' | 'onEvent'>) {}

  get count(): number {
    const oldest = this.environment.clock.monotonic() - FORGET_AFTER_MS;
    for (const [key, seen] of this.lastSeen) if (seen < oldest) this.lastSeen.delete(key);
    return this.lastSeen.size;
  }

  get isEmpty(): boolean {
    return this.lastSeen.size === 0;
  }

  /** True when the message is seen for the first time. */
  seen(key: K): boolean {
    const isNew = !this.lastSeen.has(key);
    if (!isNew || this.count < MOST) this.lastSeen.set(key, this.environment.clock.monotonic());
    return isNew;
  }

  /** Nobody took the message for this reason: told once. */
  refused(key: K, delayed: WireMessage, reason: string): void {
    if (!this.seen(key)) return;
    this.environment.onEvent({
      type: 'warning',
      message: `Delayed: ${nameOf(delayed)} is due, but ${lowerFirst(reason)}. It is tried again every minute`,
    });
  }

  delivered(key: K): void {
    this.lastSeen.delete(key);
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
