import { MessagingError } from '../errors/messaging-error.js';
import { PublishFailedError } from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import { thrownValue } from '../errors/thrown-value.js';
import type { BatchWindow } from './batch-window.js';
import type { EntryResult, Receipt } from './receipt.js';

export type RejectedEntry = Exclude<EntryResult, Receipt>;

/** What becomes of an entry that is sent; the entry is in the window until then. */
export function watched(
  receipt: Promise<Receipt>,
  id: string,
  bytes: number,
  window: BatchWindow,
): Promise<EntryResult> {
  window.enter(bytes);
  return receipt.then(
    (result) => {
      window.leave(bytes);
      return result;
    },
    (error: unknown) => {
      window.leave(bytes);
      return rejected(id, error);
    },
  );
}

export function rejected(id: string, error: unknown): RejectedEntry {
  return { id, outcome: 'rejected', error: asMessagingError(error) };
}

function asMessagingError(thrown: unknown): MessagingError {
  const error = thrownValue(thrown);
  return error instanceof MessagingError
    ? error
    : new PublishFailedError(`A publish middleware failed: ${errorMessage(error)}`, { cause: error });
}
