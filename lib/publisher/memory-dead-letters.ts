import type { PublisherDeadLetter, PublisherDeadLetters } from './publisher-dead-letters.js';

/** Dead letters in memory, bounded: the oldest makes room for the newest. */
export class MemoryDeadLetters implements PublisherDeadLetters {
  private readonly letters = new Map<number, PublisherDeadLetter>();

  constructor(
    private readonly capacity: number,
    private readonly onEvicted: (letter: PublisherDeadLetter) => void,
  ) {}

  get size(): number {
    return this.letters.size;
  }

  add(letter: PublisherDeadLetter): void {
    this.letters.set(letter.seq, letter);
    if (this.letters.size <= this.capacity) return;
    const [oldest] = this.letters.values() as Iterable<PublisherDeadLetter> as [PublisherDeadLetter];
    this.letters.delete(oldest.seq);
    this.onEvicted(oldest);
  }

  find(seq: number): PublisherDeadLetter | undefined {
    return this.letters.get(seq);
  }

  after(seq: number, limit: number): PublisherDeadLetter[] {
    const all = [...this.letters.values()].sort((a, b) => a.seq - b.seq);
    return all.filter((letter) => letter.seq > seq).slice(0, limit);
  }

  oldest(limit: number): PublisherDeadLetter[] {
    return [...this.letters.values()].slice(0, limit);
  }

  delete({ seq }: PublisherDeadLetter): boolean {
    return this.letters.delete(seq);
  }
}
