import type { Clock } from '../../clock/clock.js';
import { nextTurn } from '../../clock/turn.js';
import { type Ack, type Answer, batchesOf, type MessageSource, type Release, type Visibility } from './claims.js';

interface SettlementsOptions {
  readonly clock: Clock;
  /** Nothing can be settled any more. */
  readonly over: AbortSignal;
  readonly succeeded: () => void;
  /** Resolves when it is time to try again. */
  readonly failed: (error: unknown) => Promise<void>;
  /** SQS has answered. */
  readonly settled: () => void;
  /** There is nothing left. */
  readonly idle: () => void;
}

/** What a session has settled, until SQS knows of it. What was settled in one turn, or meanwhile, shares requests. */
export class Settlements {
  /** Until nothing is left; undefined where nothing is. */
  flushing: Promise<void> | undefined;
  private acks: Ack[] = [];
  private releases: Release[] = [];

  constructor(
    private readonly claims: MessageSource,
    private readonly options: SettlementsOptions,
  ) {}

  /** Messages that are handled and not removed yet. */
  get unconfirmed(): number {
    return this.acks.length;
  }

  ack(ack: Ack): void {
    this.acks.push(ack);
    this.start();
  }

  release(release: Release): void {
    this.releases.push(release);
    this.start();
  }

  /** Whoever waits for an answer gets none. */
  end(): void {
    for (const { answer } of this.acks) answer?.(false);
  }

  /** What an earlier session did not get settled, and what it still held, is settled now. */
  async recover({ acks, releases }: Settlements, held: readonly Release[]): Promise<void> {
    await this.claims.recover(acks, this.visibilities([...releases, ...held]));
  }

  private start(): void {
    this.flushing ??= new Promise<void>((resolve) => nextTurn(resolve)).then(() => this.flush());
  }

  private async flush(): Promise<void> {
    const { over, succeeded, failed, idle } = this.options;
    while (this.acks.length + this.releases.length > 0 && !over.aborted) {
      const [acks, releases] = [this.acks, this.releases];
      try {
        await Promise.all([...batchesOf(acks)].map((batch) => this.remove(batch)));
        for (const batch of batchesOf(releases)) await this.giveBack(batch);
        succeeded();
      } catch (error) {
        await failed(error);
      }
    }
    this.flushing = undefined;
    idle();
  }

  private async remove(batch: readonly Ack[]): Promise<void> {
    const answer = await this.claims.remove(batch.map(({ delivery }) => delivery));
    if (this.options.over.aborted) return;
    this.acks = this.without(this.acks, batch, answer);
    for (const { delivery, answer: tell } of batch) if (answer.settled.has(delivery)) tell?.(answer.done.has(delivery));
    this.check(batch, answer, 'remove');
  }

  private async giveBack(batch: readonly Release[]): Promise<void> {
    const answer = await this.claims.hide(this.visibilities(batch));
    this.releases = this.without(this.releases, batch, answer);
    this.check(batch, answer, 'give back');
  }

  private without<T extends Release | Ack>(all: T[], batch: readonly T[], { settled }: Answer): T[] {
    return all.filter((one) => !(batch.includes(one) && settled.has(one.delivery)));
  }

  private check(batch: readonly unknown[], { settled }: Answer, done: string): void {
    this.options.settled();
    if (settled.size < batch.length) throw new Error(`SQS did not ${done} some messages`);
  }

  private visibilities(releases: readonly Release[]): Visibility[] {
    const now = this.options.clock.monotonic();
    return releases.map(({ delivery, delayMs }) => ({ delivery, seconds: delivery.seconds(delayMs, now) }));
  }
}
