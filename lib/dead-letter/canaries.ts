import type { Clock } from '../clock/clock.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { Destination } from '../transport/outgoing.js';
import { CanaryStage } from './canary-stage.js';
import type { DeadLetter } from './dead-letter.js';
import type { Canary } from './redrive-options.js';
import type { RedriveSource } from './redrive-source.js';

export interface CanaryParts {
  readonly clock: Clock;
  readonly events: MessagingEvents;
  readonly windowMs: number;
  readonly signal: AbortSignal | undefined;
}

/** The stages of a redrive that come before the rest. */
export class Canaries {
  private readonly stages: number[];
  private readonly judged: Canary[] = [];
  private stage: CanaryStage | undefined;

  constructor(
    private readonly parts: CanaryParts,
    stages: readonly number[],
  ) {
    this.stages = [...stages];
    this.open();
  }

  /** A stage takes what is sent. */
  get isOpen(): boolean {
    return this.stage !== undefined;
  }

  /** How many the stage takes yet; Infinity when there is none. */
  get room(): number {
    return this.stage?.room ?? Infinity;
  }

  get all(): readonly Canary[] {
    return [...this.judged, ...(this.stage?.all ?? [])];
  }

  /** The dead letter is about to be sent there. */
  sending({ id, deadLetterQueue }: DeadLetter, to: Destination): void {
    this.stage?.add(id, deadLetterQueue, to);
  }

  notSent(id: string): void {
    this.stage?.remove(id);
  }

  /** Waits for the stage and goes on to the next one. False: one has failed again. */
  async judge(sources: readonly RedriveSource[]): Promise<boolean> {
    const { stage } = this;
    if (!stage) return true;
    const { clock, windowMs, signal } = this.parts;
    if (!stage.isEmpty) {
      await stage.wait(clock, windowMs, signal);
      if (!signal?.aborted && !stage.hasFailed) await this.lookForReturned(stage, sources);
    }
    this.close();
    this.open();
    return !stage.hasFailed;
  }

  /** No further stage. */
  end(): void {
    this.stages.length = 0;
    this.close();
  }

  private async lookForReturned(stage: CanaryStage, sources: readonly RedriveSource[]): Promise<void> {
    if (stage.silent.length > 0)
      for (const source of sources) for (const id of await source.returned(stage.silent)) stage.returned(id);
    stage.quiet();
  }

  private open(): void {
    const size = this.stages.shift();
    this.stage = size === undefined ? undefined : new CanaryStage(size, this.parts.events);
  }

  private close(): void {
    if (!this.stage) return;
    this.stage.end();
    this.judged.push(...this.stage.all);
    this.stage = undefined;
  }
}
