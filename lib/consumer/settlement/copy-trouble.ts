import type { Clock } from '../../clock/clock.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError } from '../../errors/publish-errors.js';

/** No failure for so long, longer than the longest pause between two: what failed was handled, or is somewhere else. */
const FORGET_AFTER_MS = 180_000;

/** Whether retries and dead letters of a queue can be written at the moment. An outage does not count: health tells it. */
export class CopyTrouble {
  private failures = 0;
  private reason = '';
  private lastAt = -Infinity;

  constructor(private readonly clock: Clock) {}

  failed(error: MessagingError): void {
    if (error instanceof NotConnectedError) return;
    const now = this.clock.monotonic();
    if (now - this.lastAt > FORGET_AFTER_MS) this.failures = 0;
    this.lastAt = now;
    this.reason = error.message;
    this.failures++;
  }

  written(): void {
    this.failures = 0;
  }

  /** What is wrong, with how often in a row; undefined when nothing is. */
  report(): string | undefined {
    if (this.failures === 0 || this.clock.monotonic() - this.lastAt > FORGET_AFTER_MS) return undefined;
    const times = this.failures === 1 ? 'once' : `${this.failures} times in a row`;
    return `a retry or dead letter could not be written (${times}), its message is given back: ${this.reason}`;
  }
}
