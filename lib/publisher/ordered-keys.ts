import type { Publication } from './publication.js';

/** Publishes with `ordered: true`: one per key is under way, its successors wait here. */
export class OrderedKeys {
  private readonly busy = new Map<string, Publication[]>();

  /** True: it may go and its key is busy now. False: it waits behind the one under way. */
  enter(publication: Publication): boolean {
    if (!publication.ordered || publication.key === undefined) return true;
    const followers = this.busy.get(publication.key);
    if (followers) followers.push(publication);
    else this.busy.set(publication.key, []);
    return !followers;
  }

  /** The one under way has its result: those that waited behind it, in order. */
  leave(publication: Publication): Publication[] {
    if (!publication.ordered || publication.key === undefined) return NONE;
    const followers = this.busy.get(publication.key) ?? NONE;
    this.busy.delete(publication.key);
    return followers;
  }

  /** Everything that waits, when the publisher closes. */
  *followers(): Iterable<Publication> {
    for (const followers of this.busy.values()) yield* followers;
  }
}

const NONE: Publication[] = [];
