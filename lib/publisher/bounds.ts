import type { Publication } from './publication.js';

export interface BoundsOptions {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/** What the retry queue, or a line, holds. */
export interface Occupancy {
  readonly depth: number;
  readonly bytes: number;
}

/**
 * Keeps what is under way and what is queued together within `maxMessages` and `maxBytes`, so that everything under way
 * has room in the retry queue when the connection is lost.
 */
export class Bounds {
  /** What is under way and not in the retry queue as well. */
  private count = 0;
  private bytes = 0;

  constructor(
    private readonly options: BoundsOptions,
    private readonly queue: Occupancy,
  ) {}

  /** The publication could be held if nothing else were. */
  couldHold({ bytes }: Publication): boolean {
    return bytes <= this.options.maxBytes;
  }

  hasRoom({ bytes }: Publication): boolean {
    const { maxMessages, maxBytes } = this.options;
    return this.count + this.queue.depth < maxMessages && this.bytes + this.queue.bytes + bytes <= maxBytes;
  }

  /** The publication would have room even if all that wait were held. */
  hasRoomBehind(waiting: Occupancy, { bytes }: Publication): boolean {
    const { maxMessages, maxBytes } = this.options;
    return (
      this.count + this.queue.depth + waiting.depth < maxMessages &&
      this.bytes + this.queue.bytes + waiting.bytes + bytes <= maxBytes
    );
  }

  /** The publication is under way now; what is queued is counted there already. */
  enter(publication: Publication): void {
    if (publication.stored || publication.fresh) return;
    publication.fresh = true;
    this.count++;
    this.bytes += publication.bytes;
  }

  /** The publication has its result, or is about to be queued. */
  leave(publication: Publication): void {
    if (!publication.fresh) return;
    publication.fresh = false;
    this.count--;
    this.bytes -= publication.bytes;
  }
}
