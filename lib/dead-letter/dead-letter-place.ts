import type { DeadLetter } from './dead-letter.js';

/** How long, and how many, dead letters are kept in each place; undefined: for ever, any number. */
export interface DeadLetterLimits {
  /** Milliseconds since they were given up. */
  readonly maxAge?: number;
  /** The oldest go first. */
  readonly maxCount?: number;
}

export type ExpiryCause = keyof DeadLetterLimits;

/** What a place deletes by. Times are milliseconds since the epoch. */
export interface Expiring {
  /** What was given up before is deleted. */
  readonly before: number;
  readonly maxCount: number;
  /** The dead letter is gone for good. */
  deleted(letter: DeadLetter, cause: ExpiryCause): void;
  /** Nothing more is to be begun. */
  isStopped(): boolean;
}

/** Somewhere that dead letters are kept. Every method may reject; then nothing is known, and what was not told is there. */
export interface DeadLetterPlace {
  /** As it stands in a sentence: «orders:order.created:dlq», the archive. */
  readonly name: string;
  /** Undefined: there is no such place. */
  count(): Promise<number | undefined>;
  /** When the oldest one was given up, if that was before this time. One whose time nobody said is not old. */
  oldest(before: number): Promise<number | undefined>;
  expire(expiring: Expiring): Promise<void>;
}

/** What was seen in a place. */
export interface PlaceSample {
  readonly place: string;
  readonly count: number;
  /** When the oldest was given up, where that is too long ago. */
  readonly oldest?: number;
}
