import type { Clock } from '../clock/clock.js';
import {
  allDeadLetters,
  deleteDeadLetters,
  type PublisherDeadLetter,
  type PublisherDeadLetters,
} from '../publisher/publisher-dead-letters.js';
import { readPublisherDeadLetter } from './dead-letter.js';
import type { Candidate, RedriveLook, RedriveSource } from './redrive-source.js';
import { republishedCopy } from './redriven-copy.js';

interface OwnCandidate extends Candidate {
  readonly own: PublisherDeadLetter;
}

/** The publisher's own dead letters. Only one process has them. */
export class PublisherSource implements RedriveSource {
  constructor(
    private readonly letters: PublisherDeadLetters,
    private readonly clock: Clock,
  ) {}

  size(): Promise<number> {
    return Promise.resolve(this.letters.size);
  }

  look(): Promise<RedriveLook> {
    return Promise.resolve(new PublisherLook(this.letters, this.clock));
  }

  /** No handler gives anything up here. */
  returned(): Promise<Iterable<string>> {
    return Promise.resolve([]);
  }
}

class PublisherLook implements RedriveLook {
  private readonly all: Iterator<PublisherDeadLetter>;

  constructor(
    private readonly letters: PublisherDeadLetters,
    private readonly clock: Clock,
  ) {
    this.all = allDeadLetters(letters);
  }

  next(): Promise<OwnCandidate | undefined> {
    const { value: own } = this.all.next() as { value: PublisherDeadLetter | undefined };
    return Promise.resolve(
      own && { own, letter: readPublisherDeadLetter(own), copy: () => republishedCopy(own, this.clock.now()) },
    );
  }

  hold(batch: readonly Candidate[]): Promise<readonly Candidate[]> {
    return Promise.resolve(batch);
  }

  remove(confirmed: readonly Candidate[]): Promise<void> {
    const own = (confirmed as readonly OwnCandidate[]).map((candidate) => candidate.own);
    if (own.length > 0) deleteDeadLetters(this.letters, own);
    return Promise.resolve();
  }

  arrived(): Promise<number> {
    return Promise.resolve(0);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
