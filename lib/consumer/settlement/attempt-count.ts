import { header, integerHeader } from '../../message/headers.js';
import type { RetryPolicy } from '../../retry/retry-policy.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { Delivery } from '../../transport/delivery.js';
import { UnwrittenCopies } from './unwritten-copies.js';

const MAX_ATTEMPT = 1_000_000;

/** What a delivery says of the earlier ones of its message; how it says so depends on how the transport retries. */
export interface AttemptCount {
  /** What neither the message nor the broker can say. */
  readonly unwritten: UnwrittenCopies;
  /** The number of this handler call, 1 for the first. */
  attemptOf(delivery: Delivery): number;
  /** How many earlier deliveries ended for a reason unknown here. */
  crashesOf(delivery: Delivery, attempt: number): number;
  /** The delivery goes back to the broker through no fault of the message. */
  excuse(delivery: Delivery): void;
  /** The intake broke off. What was on its way then never came, though the broker counts it as delivered. */
  interrupted(): void;
}

/**
 * The attempt that our header says. It counts only on messages that came by the queue's own name, since anybody can
 * publish one with a route.
 */
export function attemptTold({ direct, message }: Delivery): number {
  return (direct ? integerHeader(message.headers, header.attempt, 1, MAX_ATTEMPT) : undefined) ?? 1;
}

/** A number for each of the last so many message ids. */
export class RecentNumbers {
  private readonly numbers = new Map<string, number>();

  constructor(private readonly capacity: number) {}

  get(id: string): number {
    return this.numbers.get(id) ?? 0;
  }

  set(id: string, value: number): void {
    if (id === '') return;
    this.numbers.delete(id);
    this.numbers.set(id, value);
    if (this.numbers.size > this.capacity) this.numbers.delete(this.numbers.keys().next().value!);
  }
}

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

/** The way in which the transport's deliveries are counted; it remembers some ids, a few times as many as are here at once. */
export function attemptCountFor(
  capabilities: TransportCapabilities,
  { attempts }: RetryPolicy,
  prefetch: number,
): AttemptCount {
  const remembered = Math.max(1_000, prefetch * 4);
  return capabilities.retry === 'redelivery'
    ? new RedeliveryAttempts(attempts, remembered)
    : new CopyAttempts(remembered);
}
