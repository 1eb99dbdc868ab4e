/** What a handler did in this process. */
export class Tally {
  /** How often each was done to its end, in the order of the first time. */
  readonly done = new Map<string, number>();
  /** The most calls that ran beside each other; of one key; and all that run now. */
  most = 0;
  mostOfKey = 0;
  running = 0;
  private readonly byKey = new Map<string, number>();

  /** Counts `work` while it runs, and `name` as done where it ends well. */
  async during(name: string, key: string, work: () => Promise<void>): Promise<void> {
    this.most = Math.max(this.most, ++this.running);
    const ofKey = (this.byKey.get(key) ?? 0) + 1;
    this.byKey.set(key, ofKey);
    this.mostOfKey = Math.max(this.mostOfKey, ofKey);
    try {
      await work();
      this.done.set(name, (this.done.get(name) ?? 0) + 1);
    } finally {
      this.running--;
      this.byKey.set(key, this.byKey.get(key)! - 1);
    }
  }
}
