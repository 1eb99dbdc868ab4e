import type { Publication } from './publication.js';

/** The waiting messages of each key in their order; only the head of a key may be sent. Messages without a key are free. */
export class KeyLanes implements Iterable<Publication> {
  private readonly lanes = new Map<string, Set<Publication>>();

  *[Symbol.iterator](): IterableIterator<Publication> {
    for (const lane of this.lanes.values()) yield* lane;
  }

  has(key: string): boolean {
    return this.lanes.has(key);
  }

  push(publication: Publication): void {
    if (publication.key === undefined) return;
    const lane = this.lanes.get(publication.key);
    if (lane) lane.add(publication);
    else this.lanes.set(publication.key, new Set([publication]));
  }

  isHead(publication: Publication): boolean {
    return publication.key === undefined || this.head(publication.key) === publication;
  }

  /** Takes it out; returns the new head of its key when it was the head before. */
  remove(publication: Publication): Publication | undefined {
    const { key } = publication;
    if (key === undefined) return undefined;
    const wasHead = this.head(key) === publication;
    const lane = this.lanes.get(key);
    lane?.delete(publication);
    if (lane?.size === 0) this.lanes.delete(key);
    return wasHead ? this.head(key) : undefined;
  }

  private head(key: string): Publication | undefined {
    const lane = this.lanes.get(key);
    return lane && lane.values().next().value;
  }
}
