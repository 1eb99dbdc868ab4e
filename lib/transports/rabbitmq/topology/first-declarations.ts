import { sleep } from '../../../clock/sleep.js';
import type { AnswerTimeout } from '../../../clock/answered.js';

/**
 * Queues that were to be declared while there was no connection, as when an application starts before its broker. Until
 * they are there, what is published to them is unroutable.
 */
export class FirstDeclarations {
  private readonly queues = new Set<string>();
  private readonly waiting = new Set<AbortController>();

  add(queue: string): void {
    this.queues.add(queue);
  }

  /** The queue is there, or can never be. */
  settle(queue: string): void {
    if (this.queues.delete(queue) && this.queues.size === 0) this.forget();
  }

  /** Nobody waits for the queues any more. */
  forget(): void {
    this.queues.clear();
    for (const over of this.waiting) over.abort();
  }

  /** Resolves when nothing is missing, or after a while: publishing does not depend on the consuming connection. */
  async over({ clock, ms }: AnswerTimeout): Promise<void> {
    const over = new AbortController();
    this.waiting.add(over);
    await sleep(clock, ms, over.signal);
    this.waiting.delete(over);
    this.forget();
  }

  get pending(): boolean {
    return this.queues.size > 0;
  }
}
