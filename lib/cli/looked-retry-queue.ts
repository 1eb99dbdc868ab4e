import { systemClock } from '../clock/clock.js';
import { errorMessage } from '../errors/redact.js';
import type { Log } from '../events/log.js';
import type { PublisherDeadLetter, PublisherDeadLetters } from '../publisher/publisher-dead-letters.js';
import { RetryQueueDirectory } from '../publisher/retry-queue-directory.js';

const AGAIN_MS = 2_000;

/** The folder of a retry queue for as long as somebody looks: applications that use it begin and end meanwhile. */
export class LookedRetryQueue implements PublisherDeadLetters {
  private openedAt = systemClock.monotonic();
  private opening = false;
  private isFailing = false;
  private closed = false;

  private constructor(
    private readonly folder: string,
    private readonly log: Log,
    private opened: RetryQueueDirectory,
  ) {}

  /** @throws what `RetryQueueDirectory.open` throws */
  static async open(folder: string, log: Log): Promise<LookedRetryQueue> {
    return new LookedRetryQueue(folder, log, await directoryAt(folder));
  }

  get size(): number {
    this.openAgainSoon();
    return this.opened.size;
  }

  after(place: number, limit: number): PublisherDeadLetter[] {
    return this.opened.after(place, limit);
  }

  /** For looking only. */
  delete(): boolean {
    return false;
  }

  close(): void {
    this.closed = true;
    this.opened.close();
  }

  /** Where that fails, what was open stays. */
  private openAgainSoon(): void {
    if (this.opening || systemClock.monotonic() - this.openedAt < AGAIN_MS) return;
    this.opening = true;
    directoryAt(this.folder)
      .then(
        (directory) => {
          const before = this.closed ? directory : this.opened;
          if (!this.closed) this.opened = directory;
          before.close();
          this.isFailing = false;
        },
        (error: unknown) => {
          if (!this.isFailing) this.log.warn(`${this.folder} is not read anew: ${errorMessage(error)}`);
          this.isFailing = true;
        },
      )
      .finally(() => {
        this.opening = false;
        this.openedAt = systemClock.monotonic();
      });
  }
}

function directoryAt(folder: string): Promise<RetryQueueDirectory> {
  return RetryQueueDirectory.open(folder, { own: false, option: 'retryQueue.directory' });
}
