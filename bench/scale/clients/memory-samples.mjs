const TENTHS = 10;

/** Heap after a collection and resident memory, at the start and after every tenth of the messages. */
export class MemorySamples {
  #total;
  #next;
  #done = 0;
  list = [];

  constructor(total) {
    this.#total = total;
    this.#take();
    this.done = new Promise((resolve) => (this.finish = resolve));
  }

  /** One more message is done. */
  add() {
    this.#done++;
    if (this.#done < this.#next) return;
    this.#take();
    if (this.#done >= this.#total) this.finish(this.list);
  }

  #take() {
    globalThis.gc();
    const { heapUsed: heap, rss } = process.memoryUsage();
    this.list.push({ done: this.#done, at: performance.now(), heap, rss });
    this.#next = Math.ceil((this.#total * this.list.length) / TENTHS);
  }
}
