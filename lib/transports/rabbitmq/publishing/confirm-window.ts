/**
 * What was published on one confirm channel and is not confirmed yet, in the order of publishing. The broker names an
 * entry by its delivery tag, which counts from 1 per channel.
 */
export class ConfirmWindow<T> {
  private entries: (T | undefined)[] = [];
  private head = 0;
  /** Delivery tag of `entries[0]`. */
  private firstTag = 1;
  private count = 0;

  get size(): number {
    return this.count;
  }

  get oldest(): T | undefined {
    return this.entries[this.head];
  }

  push(entry: T): void {
    this.entries.push(entry);
    this.count++;
  }

  /** Takes out the entry of `tag`, with `multiple` also all before it, oldest first. Unknown tags are ignored. */
  settle(tag: number, multiple: boolean, settled: (entry: T) => void): void {
    const index = tag - this.firstTag;
    if (index < this.head || index >= this.entries.length) return;
    for (let at = multiple ? this.head : index; at <= index; at++) {
      const entry = this.entries[at];
      if (entry === undefined) continue;
      this.entries[at] = undefined;
      this.count--;
      settled(entry);
    }
    this.shrink();
  }

  /** The oldest entry that fits. */
  find(fits: (entry: T) => boolean): T | undefined {
    for (let at = this.head; at < this.entries.length; at++) {
      const entry = this.entries[at];
      if (entry !== undefined && fits(entry)) return entry;
    }
    return undefined;
  }

  /** All that fit, oldest first. */
  filter(fits: (entry: T) => boolean): T[] {
    return this.entries.filter((entry) => entry !== undefined && fits(entry)) as T[];
  }

  /** Takes out everything, oldest first. */
  drain(): T[] {
    const left = this.filter(() => true);
    this.firstTag += this.entries.length;
    this.entries = [];
    this.head = 0;
    this.count = 0;
    return left;
  }

  private shrink(): void {
    while (this.head < this.entries.length && this.entries[this.head] === undefined) this.head++;
    if (this.head < 1024 && this.head < this.entries.length) return;
    if (this.head === this.entries.length) this.entries.length = 0;
    else this.entries.splice(0, this.head);
    this.firstTag += this.head;
    this.head = 0;
  }
}
