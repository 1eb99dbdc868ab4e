/** That there is reason to look at dead letters, or no more. */
export interface DeadLetterAlert {
  /** Which condition: `dead-letters`, `oldest-dead-letter`. */
  readonly kind: 'dead-letters' | 'oldest-dead-letter';
  readonly state: 'raised' | 'cleared';
  /** The alert in a sentence. */
  readonly message: string;
  /** Dead letters in all places. */
  readonly count: number;
  /** So many came within the time of the condition, where that is what it is about. */
  readonly came?: number;
  /** Milliseconds since the oldest was given up, where that is what the alert is about. */
  readonly oldestAgeMs?: number;
  readonly places: readonly { readonly place: string; readonly count: number }[];
}
