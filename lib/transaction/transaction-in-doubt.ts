import type { Headers } from '../message/headers.js';

/** What became of a local transaction. `unknown`: it cannot be said now, and is asked again. */
export type TransactionOutcome = 'committed' | 'rolled-back' | 'unknown';

/** A local transaction of which it is not known what became of it. */
export interface TransactionInDoubt<Body = unknown> {
  /** As the local transaction was given it. */
  readonly id: string;
  /** The id of the message that waits for it. */
  readonly messageId: string;
  readonly route: string;
  /** What is to be published, as a subscriber would get it. */
  readonly body: Body;
  readonly headers: Headers;
  readonly preparedAt: Date;
  /** How often it was asked about before without an answer. */
  readonly checks: number;
}
