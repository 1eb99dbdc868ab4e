import type { MessagingError } from '../errors/messaging-error.js';
import type { RedriveSource } from './redrive-source.js';
import type { DeadLetterChange, RedriveProgress, RedriveResult } from './redrive-options.js';

/** How far one source is read, over all looks into it. */
export interface SourceTally {
  gone: number;
  /** Shown by the present look, and kept. */
  kept: number;
  /** Came since the first look. */
  arrived: number;
}

const MAX_FAILURES = 1_000;
/** A rate says little about fewer. */
const MIN_SAMPLE = 20;

/** What a redrive has done so far. */
export class RedriveTally {
  stopped: RedriveResult['stopped'];
  done = 0;
  /** Selected by a dry run. */
  selected = 0;
  total = 0;
  private readonly failed: DeadLetterChange['failed'][number][] = [];
  private readonly failedIds = new Set<string>();
  private readonly sources = new Map<RedriveSource, SourceTally>();

  constructor(
    readonly startedAt: number,
    private readonly maxFailureRate: number,
  ) {}

  of(source: RedriveSource): SourceTally {
    let tally = this.sources.get(source);
    if (!tally) this.sources.set(source, (tally = { gone: 0, kept: 0, arrived: 0 }));
    return tally;
  }

  fail(id: string, error: MessagingError): void {
    this.failed.push({ id, error });
    if (id !== '') this.failedIds.add(id);
  }

  hasFailed(id: string): boolean {
    return this.failedIds.has(id);
  }

  stopOnFailures(): void {
    const sent = this.done + this.failed.length;
    const rate = (this.failed.length + this.sum('arrived')) / sent;
    if (this.failed.length >= MAX_FAILURES || (sent >= MIN_SAMPLE && rate > this.maxFailureRate))
      this.stopped ??= 'failure-rate';
  }

  progress(waiting: boolean): RedriveProgress {
    const { done, examined } = this;
    return { examined, total: Math.max(this.total, examined), done, failed: this.failed.length, waiting };
  }

  result(): RedriveResult {
    const { done, failed, examined, startedAt, stopped } = this;
    const matched = this.selected + done + failed.length;
    return {
      done,
      failed,
      examined,
      matched,
      arrived: this.sum('arrived'),
      startedAt,
      ...(stopped && { stopped }),
    };
  }

  private get examined(): number {
    return this.sum('gone') + this.sum('kept');
  }

  private sum(what: keyof SourceTally): number {
    let sum = 0;
    for (const tally of this.sources.values()) sum += tally[what];
    return sum;
  }
}
