import { turned } from '../clock/turn.js';
import {
  deleteDeadLetters,
  oldestDeadLetters,
  type PublisherDeadLetters,
} from '../publisher/publisher-dead-letters.js';
import { readPublisherDeadLetter } from './dead-letter.js';
import type { DeadLetterPlace, Expiring } from './dead-letter-place.js';

const TOGETHER = 100;

/** The publisher's own dead letters. Only one process has them. */
export class PublisherPlace implements DeadLetterPlace {
  readonly name = "the publisher's dead letters";

  constructor(private readonly letters: PublisherDeadLetters) {}

  async count(): Promise<number> {
    return this.letters.size;
  }

  async oldest(before: number): Promise<number | undefined> {
    const [first] = oldestDeadLetters(this.letters, 1);
    return first && first.time < before ? first.time : undefined;
  }

  async expire(expiring: Expiring): Promise<void> {
    const { letters } = this;
    while (!expiring.isStopped()) {
      const over = letters.size - expiring.maxCount;
      const page = oldestDeadLetters(letters, TOGETHER);
      const chosen = page.filter(({ time }, at) => time < expiring.before || at < over);
      // A store that fails deletes nothing.
      if (chosen.length === 0 || deleteDeadLetters(letters, chosen) === 0) return;
      for (const one of chosen)
        expiring.deleted(readPublisherDeadLetter(one), one.time < expiring.before ? 'maxAge' : 'maxCount');
      if (page.length < TOGETHER) return;
      await turned();
    }
  }
}
