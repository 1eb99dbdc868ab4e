import type { Clock } from '../../clock/clock.js';
import { MessageExpiredError } from '../../errors/publish-errors.js';
import { header, integerHeader } from '../../message/headers.js';
import { Outcome } from '../../pipeline/outcome.js';
import type { Delivery } from '../../transport/delivery.js';
import type { AttemptCount } from './attempt-count.js';
import { earlyBy } from './not-before.js';
import { verdictOn } from './suspicion.js';

/** Finds the messages that need no handler call, or not yet. */
export class Precheck {
  constructor(
    private readonly attempts: AttemptCount,
    private readonly clock: Clock,
    /** Of the subscription: how long the first handling is deferred. */
    private readonly delayMs: number,
    private readonly maxDelayMs: number,
  ) {}

  /** What becomes of a delivery without a handler call; undefined: it is to be handled. */
  outcomeOf(delivery: Delivery, attempt: number): Outcome | undefined {
    const { attempts } = this;
    const verdict =
      attempts.unwritten.verdictOn(delivery) ?? verdictOn(delivery, attempts.crashesOf(delivery, attempt));
    if (verdict) return verdict;
    const expiresAt = integerHeader(delivery.message.headers, header.expiresAt, 0, Number.MAX_SAFE_INTEGER);
    if (expiresAt !== undefined && expiresAt <= this.clock.now()) {
      return Outcome.deadLetter(
        'expired',
        new MessageExpiredError(`Its time to live ended at ${new Date(expiresAt).toISOString()}`),
      );
    }
    const wait = this.waitOf(delivery);
    return wait > 0 ? Outcome.defer(wait) : undefined;
  }

  /** Milliseconds until a message may be handled: its own time, and the subscription's delay where that is to come. */
  waitOf(delivery: Delivery): number {
    const early = earlyBy(delivery, this.clock, this.maxDelayMs);
    const deferred = this.delayMs === 0 || (delivery.direct && header.attempt in delivery.message.headers);
    return deferred ? early : early + this.delayMs;
  }
}
