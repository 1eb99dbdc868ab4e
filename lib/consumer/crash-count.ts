import type { Delivery } from '../transport/delivery.js';

/** Deliveries that end without being settled before a message counts as the one that kills its process. */
export const MAX_CRASHES = 3;

/**
 * Tells redeliveries after a crash from those this process knows the cause of.
 *
 * The broker counts every redelivery alike: after a crash, a give-back, or a lost connection. What this process gave
 * back or lost while it lived was no crash, so it remembers up to which count a message is explained. Another process
 * cannot know; that is why a give-back of a message that was delivered before is made by a fresh copy.
 */
export class CrashCount {
  private readonly explained = new Map<string, number>();

  constructor(private readonly capacity: number) {}

  /** The delivery goes back to the broker through no fault of the message. */
  excuse(delivery: Delivery): void {
    const { id } = delivery.message;
    if (id === '' || delivery.deliveryCount === undefined) return;
    this.explained.delete(id);
    this.explained.set(id, delivery.deliveryCount + 1);
    if (this.explained.size > this.capacity) this.explained.delete(this.explained.keys().next().value!);
  }

  /** How many earlier deliveries of the message ended for a reason unknown here. */
  of(delivery: Delivery): number {
    const count = delivery.deliveryCount;
    if (!count) return 0;
    return Math.max(0, count - (this.explained.get(delivery.message.id) ?? 0));
  }
}
