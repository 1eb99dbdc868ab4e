import { KeyLanes } from './key-lanes.js';
import type { Publication } from './publication.js';

/**
 * Publishes with `ordered: true` that are under way or in line: one per key, its successors wait here. Once a message is
 * in the retry queue that queue keeps the order of its key, so it leaves here and its successors follow it there.
 */
export class OrderedKeys implements Iterable<Publication> {
  private readonly lanes = new KeyLanes<Publication>();

  [Symbol.iterator](): IterableIterator<Publication> {
    return this.lanes[Symbol.iterator]();
  }

  /** True: the publication may go on, and its key is busy now. False: it waits behind the first of its key. */
  enter(publication: Publication): boolean {
    if (!publication.ordered) return true;
    this.lanes.push(publication);
    return this.lanes.isHead(publication);
  }

  /** The publication is in the retry queue, or has its result. Returns the one that may go on now. */
  leave(publication: Publication): Publication | undefined {
    return publication.ordered ? this.lanes.remove(publication) : undefined;
  }
}
