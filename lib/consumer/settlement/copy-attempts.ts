import type { Delivery } from '../../transport/delivery.js';
import { type AttemptCount, RecentNumbers, attemptTold } from './attempt-count.js';
import { UnwrittenCopies } from './unwritten-copies.js';

/**
 * Where a retry is a copy, the attempt travels in the message, and the broker counts only what comes back unsettled: after
 * a crash, a give-back, or a lost connection, all alike.
 *
 * What this process gave back or lost while it lived was no crash, so it remembers up to which count a message is
 * explained. Each interruption may besides have taken a delivery of any message that never got here, so each explains one
 * more. A message that kills processes ends that of the process too, and meets a new one in which nothing is explained.
 *
 * Another process cannot know; that is why a message that was delivered before is given back as a fresh copy.
 */
export class CopyAttempts implements AttemptCount {
  readonly unwritten = new UnwrittenCopies();
  /** By message: the count that is explained, less the interruptions until then. */
  private readonly explained: RecentNumbers;
  private interruptions = 0;

  constructor(capacity: number) {
    this.explained = new RecentNumbers(capacity);
  }

  attemptOf(delivery: Delivery): number {
    return Math.max(attemptTold(delivery), this.crashesOf(delivery), this.unwritten.attemptsOf(delivery) + 1);
  }

  crashesOf({ deliveryCount, message }: Delivery): number {
    return deliveryCount ? Math.max(0, deliveryCount - this.explained.get(message.id) - this.interruptions) : 0;
  }

  excuse({ deliveryCount, message }: Delivery): void {
    if (deliveryCount !== undefined) this.explained.set(message.id, deliveryCount + 1 - this.interruptions);
  }

  interrupted(): void {
    this.interruptions++;
  }
}
