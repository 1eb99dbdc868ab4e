/** What waits in the lane of its key; without a key it waits for nobody. */
interface Keyed {
  readonly key: string | undefined;
}

/** What waits of each key in its order; only the head of a key may go on. Without a key everything is free. */
export class KeyLanes<T extends Keyed> implements Iterable<T> {
  private readonly lanes = new Map<string, Set<T>>();

  *[Symbol.iterator](): IterableIterator<T> {
    for (const lane of this.lanes.values()) yield* lane;
  }

  has(key: string): boolean {
    return this.lanes.has(key);
  }

  push(one: T): void {
    if (one.key === undefined) return;
    const lane = this.lanes.get(one.key);
    if (lane) lane.add(one);
    else this.lanes.set(one.key, new Set([one]));
  }

  isHead(one: T): boolean {
    return one.key === undefined || this.head(one.key) === one;
  }

  /** Takes an item out; returns the new head of its key when it was the head before. */
  remove(one: T): T | undefined {
    const { key } = one;
    if (key === undefined) return undefined;
    const wasHead = this.head(key) === one;
    const lane = this.lanes.get(key);
    lane?.delete(one);
    if (lane?.size === 0) this.lanes.delete(key);
    return wasHead ? this.head(key) : undefined;
  }

  private head(key: string): T | undefined {
    const lane = this.lanes.get(key);
    return lane && lane.values().next().value;
  }
}
