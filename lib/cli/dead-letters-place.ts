import type { DeadLetter } from '../dead-letter/dead-letter.js';
import type { DeadLetterConditions, DeadLetterPage } from '../dead-letter/dead-letter-selection.js';
import type { RedriveOptions, RedriveResult } from '../dead-letter/redrive-options.js';

/** What a command does with dead letters, wherever they are. */
export interface DeadLetterPlace {
  /** In a sentence: `of 7 in the queue`. */
  readonly name: string;
  count(): Promise<number>;
  list(conditions: DeadLetterConditions, page: DeadLetterPage): Promise<DeadLetter[]>;
  redrive(conditions: DeadLetterConditions, options: RedriveOptions): Promise<RedriveResult>;
  /** @returns how many are deleted */
  delete(conditions: DeadLetterConditions & { readonly all?: true }): Promise<number>;
}

/** `read` shows only, `change` deletes, `send` needs the broker as well. */
export type Access = 'read' | 'change' | 'send';

export type PlaceWork<T> = (place: DeadLetterPlace) => Promise<T>;
