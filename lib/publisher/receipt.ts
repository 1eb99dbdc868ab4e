import type { MessagingError } from '../errors/messaging-error.js';

/** The truth about a publish at the moment it resolved. */
export interface Receipt {
  /** The message's id, the caller's or a generated one. */
  readonly id: string;
  /** `confirmed`: the broker has taken responsibility. `queued`: the message waits in the publisher retry queue. */
  readonly outcome: 'confirmed' | 'queued';
  /** Nothing was sent, for another publish with its `unique` key was: `id` and `outcome` are that one's. */
  readonly duplicate?: true;
  /** Where a `queued` message waits: `memory` dies with the process. `record`: in the record of its transaction. */
  readonly stored?: 'memory' | 'disk' | 'record';
  /**
   * The final result. Never rejects; while the message waits it stays pending, for ever if the broker never comes.
   * The result stays the same, also after a dead letter was redriven or deleted. Only when 10,000 others
   * were given up since, it may be `rejected` with SettlementUnknownError; never `confirmed` without being so.
   */
  readonly settled: Promise<Settlement>;
}

/** What became of a publish in the end. */
export type Settlement =
  | { readonly id: string; readonly outcome: 'confirmed' }
  /** The message cannot be sent; it went to the publisher's dead letters. */
  | { readonly id: string; readonly outcome: 'rejected'; readonly error: MessagingError };

/** One entry's result of `publishMany`. */
export type EntryResult =
  Receipt | { readonly id: string; readonly outcome: 'rejected'; readonly error: MessagingError };

export class ConfirmedReceipt implements Receipt {
  readonly outcome = 'confirmed';

  constructor(readonly id: string) {}

  get settled(): Promise<Settlement> {
    return Promise.resolve({ id: this.id, outcome: 'confirmed' });
  }
}

/** Of a publish that another one was sent for. What becomes of one that is queued elsewhere is not known here. */
export class DuplicateReceipt implements Receipt {
  readonly duplicate = true;

  constructor(
    readonly id: string,
    readonly outcome: 'confirmed' | 'queued',
  ) {}

  get settled(): Promise<Settlement> {
    return this.outcome === 'queued'
      ? new Promise(() => undefined)
      : Promise.resolve({ id: this.id, outcome: 'confirmed' });
  }
}

/** Knows what becomes of a queued message. */
export interface SettlementSource {
  of(seq: number, id: string): Promise<Settlement>;
}

export class QueuedReceipt implements Receipt {
  readonly outcome = 'queued';
  private result: Promise<Settlement> | undefined;

  constructor(
    readonly id: string,
    readonly stored: 'memory' | 'disk',
    private readonly seq: number,
    private readonly settlements: SettlementSource,
  ) {}

  get settled(): Promise<Settlement> {
    return (this.result ??= this.settlements.of(this.seq, this.id));
  }
}
