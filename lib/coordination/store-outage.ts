import { CoordinationStoreError } from '../errors/coordination-errors.js';
import { errorMessage } from '../errors/redact.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';

/** Who asks the store, and what is said once when it does not answer, and when it does again. */
export interface StoreOutageOptions {
  readonly log: Log;
  readonly events: MessagingEvents;
  /** Of the event `store-error`. */
  readonly operation: string;
  /** What that means, and why. */
  readonly failing: (reason: string) => string;
  readonly again?: string;
}

/** Tells once that the coordination store cannot be asked, and once that it can be again. */
export class StoreOutage {
  private lasts = false;

  constructor(private readonly options: StoreOutageOptions) {}

  failed(thrown: unknown): void {
    const { log, events, operation, failing } = this.options;
    const error =
      thrown instanceof CoordinationStoreError
        ? thrown
        : new CoordinationStoreError(errorMessage(thrown), { cause: thrown });
    if (!this.lasts) log.warn(failing(error.message));
    this.lasts = true;
    if (events.has('store-error')) events.emit('store-error', { operation, error });
  }

  /** It has answered. */
  over(): void {
    const { log, again } = this.options;
    if (this.lasts && again !== undefined) log.log(again);
    this.lasts = false;
  }
}
