import { header } from '../../message/headers.js';
import type { Delivery } from '../../transport/delivery.js';
import { type AttemptCount, RecentNumbers, attemptTold } from './attempt-count.js';
import { UnwrittenCopies } from './unwritten-copies.js';

/**
 * Where a retry is a redelivery, the broker counts the attempts: each delivery is one, on top of what the header of a copy
 * says. It counts too what was no attempt. Of that, this process takes off what it gave back or lost itself, and one
 * delivery of a message with a `messaging-not-before`, which has usually been put off once. What another process lost is
 * not known here: it is an attempt spent.
 *
 * A failed call whose attempt was the last allowed one ends in the dead-letter queue. So whatever is delivered beyond that
 * has ended without a result since, and only this is taken for crashes, less one for each interruption of this process:
 * what was on its way then never got here.
 */
export class RedeliveryAttempts implements AttemptCount {
  readonly unwritten = new UnwrittenCopies();
  private readonly excused: RecentNumbers;
  private interruptions = 0;

  constructor(
    /** Handler calls that the retry policy allows. */
    private readonly allowed: number,
    capacity: number,
  ) {
    this.excused = new RecentNumbers(capacity);
  }

  attemptOf(delivery: Delivery): number {
    const told = attemptTold(delivery);
    const { deliveryCount, message } = delivery;
    if (!deliveryCount) return told;
    const free = Math.max(this.excused.get(message.id), header.notBefore in message.headers ? 1 : 0);
    return told + Math.max(0, deliveryCount - free);
  }

  crashesOf(delivery: Delivery, attempt: number): number {
    if (!delivery.deliveryCount) return 0;
    return Math.max(0, attempt - Math.max(this.allowed, attemptTold(delivery)) - this.interruptions);
  }

  excuse({ message: { id } }: Delivery): void {
    this.excused.set(id, this.excused.get(id) + 1);
  }

  interrupted(): void {
    this.interruptions++;
  }
}
