import type { CancelTimer, Clock } from '../clock/clock.js';
import type { Publication } from './publication.js';

/** When messages that were published one by one go to the broker together. */
export interface BatchingOptions {
  /** As soon as there are so many. At most `maxInFlight` and `retryQueue.maxMessages`. Default 100. */
  readonly messages?: number;
  /** As soon as they have so many bytes, bookkeeping included; a larger message goes alone. At most `retryQueue.maxBytes`. Default 1 MiB. */
  readonly bytes?: number;
  /** Milliseconds after the first of them, at the latest. Default 5. */
  readonly maxAge?: number;
}

/** Gathers publications, in their order, and hands them on together. What it holds is bounded by its own limits. */
export class PublishBatching {
  private batch: Publication[] = [];
  private bytes = 0;
  private cancelTimer: CancelTimer | undefined;

  constructor(
    private readonly limits: Required<BatchingOptions>,
    private readonly clock: Clock,
    private readonly submit: (batch: readonly Publication[]) => void,
  ) {}

  add(publication: Publication): void {
    if (this.bytes + publication.bytes > this.limits.bytes) this.flush();
    this.batch.push(publication);
    this.bytes += publication.bytes;
    if (this.batch.length >= this.limits.messages || this.bytes >= this.limits.bytes) this.flush();
    else this.cancelTimer ??= this.clock.after(this.limits.maxAge, () => this.flush());
  }

  /** Hands on what there is. */
  flush(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    if (this.batch.length === 0) return;
    const { batch } = this;
    this.batch = [];
    this.bytes = 0;
    this.submit(batch);
  }
}
