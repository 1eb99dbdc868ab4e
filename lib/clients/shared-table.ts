import type { Clock } from '../clock/clock.js';
import { nextTurn } from '../clock/turn.js';
import type { MessagingError } from '../errors/messaging-error.js';
import { errorMessage } from '../errors/redact.js';
import type { Steps, TableDatabase, TableDefinition } from './sql-table.js';

interface Call {
  steps(now: number): Steps<unknown>;
  resolve(result: never): void;
  reject(error: MessagingError): void;
}

const TIDY_INTERVAL_MS = 1_000;

/** A table and who calls it: one transaction after the other, with what was asked in one turn of the event loop. */
export class SharedTable {
  private calls: Call[] = [];
  private flushing: Promise<void> | undefined;
  private closing: Promise<void> | undefined;
  private tidiedAt = -Infinity;

  constructor(
    private readonly definition: TableDefinition,
    private readonly database: TableDatabase,
    private readonly clock: Clock,
  ) {}

  /** @throws MissingPeerError, and the table's error when it cannot be used */
  open(): Promise<void> {
    return this.database.open();
  }

  /** `steps` is given the time of its transaction, in milliseconds since the epoch. @throws the table's error */
  call<T>(steps: (now: number) => Steps<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.closing) return reject(this.failure(new Error('it is closed')));
      this.calls.push({ steps, resolve, reject });
      this.flushing ??= this.flush();
    });
  }

  /** What was asked before is done before. Calling it again is harmless. */
  close(): Promise<void> {
    this.closing ??= Promise.resolve(this.flushing).then(() => this.database.close());
    return this.closing;
  }

  /** Runs as long as there are calls. */
  private async flush(): Promise<void> {
    await new Promise<void>((resolve) => nextTurn(resolve));
    while (this.calls.length > 0) {
      const batch = this.calls.splice(0, this.definition.callsTogether);
      try {
        const results = await this.database.transaction((now) => this.answer(batch, now));
        batch.forEach((call, at) => call.resolve(results[at] as never));
      } catch (error) {
        const failure = this.failure(error);
        for (const call of batch) call.reject(failure);
      }
    }
    this.flushing = undefined;
  }

  private *answer(batch: readonly Call[], now: number): Steps<unknown[]> {
    const results: unknown[] = [];
    for (const call of batch) results.push(yield* call.steps(now));
    const { tidy } = this.definition;
    if (tidy && this.clock.monotonic() - this.tidiedAt >= TIDY_INTERVAL_MS)
      this.tidiedAt = (yield* tidy(now)) ? -Infinity : this.clock.monotonic();
    return results;
  }

  private failure(cause: unknown): MessagingError {
    const { noun, Failure } = this.definition;
    if (cause instanceof Failure) return cause;
    return new Failure(`The ${noun} ${this.database.place} failed: ${errorMessage(cause)}`, { cause });
  }
}
