import { errorMessage } from '../errors/redact.js';
import { thrownValue } from '../errors/thrown-value.js';
import type { Log } from '../events/log.js';
import { askedWait, type Backoff, exponential } from '../retry/backoff.js';

/** The pauses where nothing else is said. */
export const DEFAULT_BACKOFF = exponential({ factor: 2 });
/** A backoff cannot end what has to come to its end. */
const INSTEAD_OF_NONE_MS = 600_000;

/** Pauses between tries. A backoff that throws, or gives no number, is told once; the default is taken in its place. */
export class Pauses {
  private told = false;

  constructor(
    private readonly backoff: Backoff,
    private readonly log: Log,
  ) {}

  /** Milliseconds after so many failures. It never throws. */
  after(failures: number): number {
    try {
      return this.wait(this.backoff, failures);
    } catch (thrown) {
      if (!this.told)
        this.log.error(
          `«transactions.backoff» cannot be used, the default is taken in its place: ${errorMessage(thrownValue(thrown))}`,
        );
      this.told = true;
      return this.wait(DEFAULT_BACKOFF, failures);
    }
  }

  private wait(backoff: Backoff, failures: number): number {
    const wait = askedWait('transactions.backoff', backoff, failures, undefined);
    return wait === false ? INSTEAD_OF_NONE_MS : wait;
  }
}
