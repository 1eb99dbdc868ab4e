/** How long acks may wait for others. */
export interface AckWait {
  /** Calls back when it is over. */
  readonly start: (over: () => void) => void;
  /** As many acks wait for no more. */
  readonly most: number;
}

/**
 * The acks of one channel: those that are given in one turn of the event loop, or within the wait, leave in as few frames
 * as can be. One frame acks everything up to a tag, as far as nothing below it is still to be settled; the broker then
 * writes one entry to its log instead of one per message.
 */
export class Acks {
  /** What came on the channel and is not settled, in the order of the tags. */
  private readonly unsettled = new Set<number>();
  private given: number[] = [];
  private waiting = false;

  /** `send` acks a tag, or everything unsettled up to it. */
  constructor(
    private readonly send: (tag: number, upTo: boolean) => void,
    private readonly wait: AckWait = { start: (over) => process.nextTick(over), most: Infinity },
  ) {}

  /** A delivery came: its tag is above all before. */
  delivered(tag: number): void {
    this.unsettled.add(tag);
  }

  /** The delivery was rejected or given back: that has been written. */
  settled(tag: number): void {
    this.unsettled.delete(tag);
  }

  /** The delivery is done; written before the wait ends. */
  give(tag: number): void {
    this.unsettled.delete(tag);
    if (this.given.push(tag) >= this.wait.most) return this.flush();
    if (this.waiting) return;
    this.waiting = true;
    this.wait.start(() => {
      this.waiting = false;
      this.flush();
    });
  }

  /** Writes what was given. To be called before anything that ends the channel. */
  flush(): void {
    const { given } = this;
    if (given.length === 0) return;
    this.given = [];
    const [lowest = Infinity] = this.unsettled;
    let highest = 0;
    let below = 0;
    for (const tag of given) {
      if (tag > lowest) continue;
      highest = Math.max(highest, tag);
      below++;
    }
    if (below > 0) this.send(highest, below > 1);
    if (below < given.length) for (const tag of given) if (tag > lowest) this.send(tag, false);
  }
}
