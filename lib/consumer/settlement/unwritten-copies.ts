import type { Outcome } from '../../pipeline/outcome.js';
import { type Delivery, wasDelivered } from '../../transport/delivery.js';
import { messageDigest } from '../../message/message-id.js';

/** Messages that are remembered at a time. */
const CAPACITY = 1_000;

interface Unwritten {
  /** Calls that have failed. */
  readonly attempts: number;
  /** The message needs no further call. */
  readonly verdict?: Outcome;
}

/**
 * What the calls of messages came to whose copy cannot be written, because what it needs is missing or no copy fits: the
 * message itself cannot say it, so this process does, as long as it lives. Without it such a message would be called again
 * and again.
 */
export class UnwrittenCopies {
  private readonly byMessage = new Map<string, Unwritten>();

  /** The call of this attempt came to this, and no copy could be written. */
  keep(delivery: Delivery, attempts: number, outcome: Outcome): void {
    const key = keyOf(delivery);
    this.byMessage.delete(key);
    this.byMessage.set(key, { attempts, verdict: outcome.type === 'dead-letter' ? outcome : undefined });
    if (this.byMessage.size > CAPACITY) this.byMessage.delete(this.byMessage.keys().next().value!);
  }

  written(delivery: Delivery): void {
    if (this.byMessage.size > 0) this.byMessage.delete(keyOf(delivery));
  }

  /** Calls of this message that failed before the one that is next, or was the last; as far as only this process knows. */
  attemptsOf(delivery: Delivery): number {
    const { attempts = 0, verdict } = this.find(delivery) ?? {};
    return verdict ? attempts - 1 : attempts;
  }

  /** What becomes of the message without a further call; undefined: it may be called. */
  verdictOn(delivery: Delivery): Outcome | undefined {
    return this.find(delivery)?.verdict;
  }

  private find(delivery: Delivery): Unwritten | undefined {
    return this.byMessage.size > 0 && wasDelivered(delivery) ? this.byMessage.get(keyOf(delivery)) : undefined;
  }
}

function keyOf({ message }: Delivery): string {
  return `${message.id}\0${messageDigest(message)}`;
}
