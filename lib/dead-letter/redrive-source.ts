import type { Outgoing } from '../transport/outgoing.js';
import type { DeadLetter } from './dead-letter.js';

/** One dead letter that may be sent. */
export interface Candidate {
  readonly letter: DeadLetter;
  copy(attempt: number): Outgoing;
}

/** A dead letter that was sent first, and where it was. */
export type SentFirst = Pick<DeadLetter, 'id' | 'deadLetterQueue'>;

/** A place that dead letters are redriven from. Every method may reject. */
export interface RedriveSource {
  /** How many dead letters there are; undefined: there is no such place. */
  size(): Promise<number | undefined>;
  /**
   * Begins at the first letter. What an earlier look kept is shown again, and nothing that came since the first look.
   * One look at a time.
   */
  look(): Promise<RedriveLook>;
  /** The ids of canaries that have come back since the first look; perhaps those of others, too. */
  returned(canaries: readonly SentFirst[]): Promise<Iterable<string>>;
}

export interface RedriveLook {
  /** The next dead letter, or undefined at the end. */
  next(): Promise<Candidate | undefined>;
  /** The candidates that nobody else is sending: nobody else does until they are removed or the look is closed. */
  hold(batch: readonly Candidate[]): Promise<readonly Candidate[]>;
  /** The copies of these candidates are confirmed: they go. */
  remove(confirmed: readonly Candidate[]): Promise<void>;
  /** How many dead letters have come to this place since the first look, as far as is known by now. */
  arrived(): Promise<number>;
  /** Lets go of what was not removed. */
  close(): Promise<void>;
}
