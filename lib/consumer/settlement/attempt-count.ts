import { header, integerHeader } from '../../message/headers.js';
import type { Delivery } from '../../transport/delivery.js';
import type { UnwrittenCopies } from './unwritten-copies.js';

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
