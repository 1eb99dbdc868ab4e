import type { MessagingError } from '../errors/messaging-error.js';
import type { WireMessage } from '../message/message.js';
import type { Destination } from '../transport/outgoing.js';

/** A message that its publisher was told is `queued` and that cannot be sent after all. */
export interface PublisherDeadLetter {
  readonly message: WireMessage;
  readonly to: Destination;
  readonly error: MessagingError;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** The publisher's dead letters, in memory and bounded: the oldest makes room for the newest. */
export class PublisherDeadLetters {
  private readonly entries = new Set<PublisherDeadLetter>();

  constructor(
    private readonly capacity: number,
    private readonly onEvicted: (entry: PublisherDeadLetter) => void,
  ) {}

  get size(): number {
    return this.entries.size;
  }

  add(entry: PublisherDeadLetter): void {
    this.entries.add(entry);
    if (this.entries.size <= this.capacity) return;
    const [oldest] = this.entries as Iterable<PublisherDeadLetter> as [PublisherDeadLetter];
    this.entries.delete(oldest);
    this.onEvicted(oldest);
  }

  delete(entry: PublisherDeadLetter): boolean {
    return this.entries.delete(entry);
  }

  list(): PublisherDeadLetter[] {
    return [...this.entries];
  }
}
