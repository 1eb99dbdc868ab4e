/** More settled entries than this at the front are cut off. */
const MOST_BEHIND = 1_024;

/**
 * Acks of a broker that keeps one place per partition: what is settled out of turn is held until all before it is settled,
 * and only then the place moves on. Offsets are handed over in their order; gaps between them are nothing.
 */
export class OffsetWindow {
  /** Handed over and, from `head` on, not settled contiguously; ascending. */
  private readonly offsets: number[] = [];
  private head = 0;
  private readonly settledAhead = new Set<number>();
  private expected: number;

  /** `start`: the place in the partition where handing over begins. */
  constructor(start: number) {
    this.expected = start;
  }

  /** The lowest offset that was not handed over yet. */
  get next(): number {
    return this.expected;
  }

  /** Everything below this offset is settled, and nothing above is known to be: what may be committed. */
  get committable(): number {
    return this.head < this.offsets.length ? this.offsets[this.head] : this.expected;
  }

  /** How many are handed over and not settled. */
  get unsettled(): number {
    return this.span - this.settledAhead.size;
  }

  /** How many are handed over, from the first on that is not settled. */
  get span(): number {
    return this.offsets.length - this.head;
  }

  /** False: the offset was handed over before, and must not be again. */
  open(offset: number): boolean {
    if (offset < this.expected) return false;
    this.offsets.push(offset);
    this.expected = offset + 1;
    return true;
  }

  /** There is nothing to hand over below this offset, as where a log was compacted or cut off. */
  skipTo(offset: number): void {
    if (offset > this.expected) this.expected = offset;
  }

  /** True: `committable` has risen. What is not open, or was settled before, changes nothing. */
  settle(offset: number): boolean {
    const { offsets } = this;
    if (offset !== offsets[this.head]) {
      if (offset > offsets[this.head] && offset < this.expected) this.settledAhead.add(offset);
      return false;
    }
    do this.head++;
    while (this.settledAhead.delete(offsets[this.head]));
    if (this.head > MOST_BEHIND && this.head * 2 > offsets.length) {
      offsets.splice(0, this.head);
      this.head = 0;
    }
    return true;
  }
}
