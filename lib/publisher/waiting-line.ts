import type { CancelTimer, Clock } from '../clock/clock.js';
import type { Publication } from './publication.js';

/** Publishes that were not accepted yet, in order: they wait for the window to open, or for room in the retry queue. */
export class WaitingLine implements Iterable<Publication> {
  private readonly waiting = new Map<Publication, CancelTimer | undefined>();
  private withoutDeadline = 0;

  constructor(
    private readonly waitTimeout: number,
    private readonly clock: Clock,
    private readonly onTimeout: (publication: Publication) => void,
  ) {}

  get size(): number {
    return this.waiting.size;
  }

  [Symbol.iterator](): IterableIterator<Publication> {
    return this.waiting.keys();
  }

  add(publication: Publication): void {
    this.waiting.set(publication, undefined);
    this.withoutDeadline++;
  }

  delete(publication: Publication): void {
    const cancel = this.waiting.get(publication);
    if (!this.waiting.delete(publication)) return;
    if (cancel) cancel();
    else this.withoutDeadline--;
  }

  /** Nothing under way can make room for them: everybody in line waits for at most `waitTimeout` from now. */
  setDeadlines(): void {
    if (this.withoutDeadline === 0) return;
    for (const [publication, cancel] of this.waiting) {
      if (!cancel) this.waiting.set(publication, this.deadline(publication));
    }
    this.withoutDeadline = 0;
  }

  private deadline(publication: Publication): CancelTimer {
    return this.clock.after(this.waitTimeout, () => {
      this.waiting.delete(publication);
      this.onTimeout(publication);
    });
  }
}
