import { brand } from '../errors/brand.js';
import type { MessageContext } from './message-context.js';
import type { Outcome } from './outcome.js';

/** What a batch handler learns about the batch that it is called with: its second parameter. */
export class BatchContext {
  /** The decoded bodies, in the order of `entries`. */
  readonly payload: unknown[];
  private controller: AbortController | undefined;
  private abortReason: unknown;

  /** @internal */
  constructor(
    /** The queue that they were taken from. */
    readonly queue: string,
    /** What there is to know about each message, in the order of the payloads: id, attempt, headers, a signal of its own. */
    readonly entries: readonly MessageContext[],
  ) {
    this.payload = entries.map(({ payload }) => payload);
  }

  /** How many messages it has, at least 1. */
  get size(): number {
    return this.entries.length;
  }

  /**
   * Aborted when no result of this call counts any more: timeout, shutdown deadline, every delivery lost. A delivery that
   * is lost alone aborts the signal of its entry.
   */
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.abortReason !== undefined) this.controller.abort(this.abortReason);
    return this.controller.signal;
  }

  /** Asks the broker to leave all of them with this handler for `ms` milliseconds from now; see `MessageContext.extend`. */
  async extend(ms: number): Promise<void> {
    await Promise.all(this.entries.map((entry) => entry.extend(ms)));
  }

  /** @internal */
  abort(reason: unknown): void {
    this.abortReason ??= reason;
    this.controller?.abort(this.abortReason);
    for (const entry of this.entries) entry.abort(reason);
  }
}

/** Handles one batch; what it returns or throws becomes an Outcome for each of its messages. */
export type BatchHandler = (context: BatchContext) => unknown;

/**
 * What a batch handler may return. Nothing: all are done. An Outcome: it holds for all. An array, in the order of the
 * messages: an Outcome each; an Error is that message's failure, and one without either is retried.
 */
export type BatchResult = void | undefined | Outcome | readonly (Outcome | Error | undefined)[];

brand({ BatchContext });
