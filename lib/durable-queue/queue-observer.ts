import type { RetryQueueStoreError } from '../errors/publish-errors.js';

/** Where the queue writes its log lines. */
export interface QueueLog {
  log(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** What the user of a queue is told. */
export interface QueueObserver {
  readonly log: QueueLog;
  /** Entries of a process that died are in this queue now; look at what is due. */
  adopted(count: number): void;
  /** Reading or writing failed, or something is damaged. */
  failed(operation: string, error: RetryQueueStoreError): void;
}
