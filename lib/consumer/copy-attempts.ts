import type { Delivery } from '../transport/delivery.js';
import { type AttemptCount, RecentNumbers, attemptTold } from './attempt-count.js';

/**
 * Where a retry is a copy, the attempt travels in the message, and the broker counts only what comes back unsettled: after
 * a crash, a give-back, or a lost connection, all alike.
 *
 * What this process gave back or lost while it lived was no crash, so it remembers up to which count a message is
 * explained. Another process cannot know; that is why a message that was delivered before is given back as a fresh copy.
 */
export class CopyAttempts implements AttemptCount {
  private readonly explained: RecentNumbers;

  constructor(capacity: number) {
    this.explained = new RecentNumbers(capacity);
  }

  attemptOf(delivery: Delivery): number {
    return Math.max(attemptTold(delivery), this.crashesOf(delivery));
  }

  crashesOf({ deliveryCount, message }: Delivery): number {
    return deliveryCount ? Math.max(0, deliveryCount - this.explained.get(message.id)) : 0;
  }

  excuse({ deliveryCount, message }: Delivery): void {
    if (deliveryCount !== undefined) this.explained.set(message.id, deliveryCount + 1);
  }
}
