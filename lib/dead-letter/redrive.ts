import type { Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { MessagingError } from '../errors/messaging-error.js';
import { NotConnectedError } from '../errors/publish-errors.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { Outgoing, PublishResult } from '../transport/outgoing.js';
import { publishAll } from '../transport/publish-all.js';
import type { Transport } from '../transport/transport.js';
import { Canaries } from './canaries.js';
import { DeadLetterHeldError } from './dead-letter-held-error.js';
import type { DeadLetterMatcher } from './dead-letter-selection.js';
import { RedriveInterruptedError } from './redrive-interrupted-error.js';
import type { RedriveResult, ResolvedRedrive } from './redrive-options.js';
import type { Candidate, RedriveLook, RedriveSource } from './redrive-source.js';
import { type SourceTally, RedriveTally } from './redrive-tally.js';

export interface RedriveParts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly events: MessagingEvents;
}

export interface RedriveScope {
  readonly sources: readonly RedriveSource[];
  readonly matches: DeadLetterMatcher;
}

/**
 * Copies that are sent together. Of RabbitMQ's quorum queues one hands on 32 acks of a channel at a time; what is beyond may
 * wait until after the next batch, and would be sent twice when the process is killed meanwhile.
 */
const BATCH = 25;

/** One run of a redrive. */
export class Redrive {
  private readonly tally: RedriveTally;
  private readonly canaries: Canaries;
  private batch: Candidate[] = [];
  private passedOver = false;
  private waiting = false;
  private nextSendAt = 0;

  constructor(
    private readonly parts: RedriveParts,
    private readonly scope: RedriveScope,
    private readonly options: ResolvedRedrive,
  ) {
    const { stages, windowMs, signal, maxFailureRate } = options;
    this.tally = new RedriveTally(parts.clock.now(), maxFailureRate);
    this.canaries = new Canaries({ ...parts, windowMs, signal }, stages);
  }

  /** @throws RedriveInterruptedError */
  async run(): Promise<RedriveResult> {
    try {
      const sources = await this.measure();
      await this.readAll(sources);
      if (!this.tally.stopped) await this.judge();
      this.canaries.end();
      if (this.passedOver) await this.readAll(sources);
    } catch (error) {
      if (!(error instanceof MessagingError) || !error.retryable) throw error;
      throw new RedriveInterruptedError(
        `${this.tally.done} dead letters were redriven, then: ${error.message}. The rest is where it was: the same call goes on`,
        this.result(),
        { cause: error },
      );
    } finally {
      this.canaries.end();
    }
    this.report();
    return this.result();
  }

  /** The sources that are there. */
  private async measure(): Promise<RedriveSource[]> {
    const sources: RedriveSource[] = [];
    for (const source of this.scope.sources) {
      const size = await source.size();
      if (size === undefined) continue;
      this.tally.total += size;
      sources.push(source);
    }
    return sources;
  }

  private async readAll(sources: readonly RedriveSource[]): Promise<void> {
    for (const source of sources) await this.read(source);
  }

  /** Reads a source in several looks, where canaries are waited for in between. */
  private async read(source: RedriveSource): Promise<void> {
    const tally = this.tally.of(source);
    for (let goesOn = true; goesOn;) {
      if (this.canaries.room === 0) await this.judge();
      if (this.tally.stopped) return;
      const before = this.tally.done;
      const look = await source.look();
      // What an earlier look gave back is shown again.
      tally.kept = 0;
      try {
        goesOn = await this.readLook(look, tally);
      } catch (error) {
        // A broker may end a long look by itself; it is gone on with as long as that leads anywhere.
        if (!(error instanceof NotConnectedError) || this.tally.done === before) throw error;
      } finally {
        this.batch = [];
        await look.close();
      }
    }
  }

  /** @returns whether there may be more */
  private async readLook(look: RedriveLook, tally: SourceTally): Promise<boolean> {
    for (;;) {
      const candidate = await look.next();
      if (!candidate) break;
      tally.kept++;
      if (this.take(candidate)) await this.sendAndCount(look, tally);
      if (this.options.signal?.aborted) this.tally.stopped ??= 'aborted';
      if (this.tally.stopped || this.canaries.room === 0) return true;
    }
    await this.sendAndCount(look, tally);
    return false;
  }

  private async sendAndCount(look: RedriveLook, tally: SourceTally): Promise<void> {
    await this.send(look, tally);
    tally.arrived = await look.arrived();
    this.tally.stopOnFailures();
  }

  /** @returns whether the batch is full now */
  private take(candidate: Candidate): boolean {
    const { letter } = candidate;
    const { tally, canaries } = this;
    if (tally.hasFailed(letter.id) || !this.scope.matches(letter)) return false;
    if (this.options.dryRun) {
      if (++tally.selected >= this.options.limit) tally.stopped ??= 'limit';
      return false;
    }
    // A message without an id could not be recognised when it comes back.
    if (canaries.isOpen && letter.id === '') {
      this.passedOver = true;
      return false;
    }
    this.batch.push(candidate);
    return this.batch.length >= this.batchSize();
  }

  private batchSize(): number {
    const { limit, rateLimit } = this.options;
    const atThisRate = Math.max(1, Math.floor(rateLimit / 10));
    return Math.min(BATCH, atThisRate, limit - this.tally.done, this.canaries.room);
  }

  /** A dead letter goes when its copy is confirmed, and only then. */
  private async send(look: RedriveLook, from: SourceTally): Promise<void> {
    const batch = this.batch.splice(0);
    const { tally } = this;
    if (batch.length === 0 || tally.stopped) return;
    await this.pace(batch.length);
    if (this.options.signal?.aborted) {
      tally.stopped = 'aborted';
      return;
    }
    const held = await look.hold(batch);
    this.tellHeldElsewhere(batch, held);
    const results =
      held.length === 0
        ? []
        : await publishAll(
            this.parts.transport,
            held.map((one) => this.copyOf(one)),
          );
    const confirmed = held.filter((_, at) => results[at].status === 'confirmed');
    const lost = this.noteUnconfirmed(held, results);
    await look.remove(confirmed);
    from.kept -= confirmed.length;
    from.gone += confirmed.length;
    tally.done += confirmed.length;
    if (tally.done >= this.options.limit) tally.stopped ??= 'limit';
    tally.stopOnFailures();
    this.report();
    if (lost) throw lost;
  }

  private tellHeldElsewhere(batch: readonly Candidate[], held: readonly Candidate[]): void {
    if (held.length === batch.length) return;
    const ours = new Set(held);
    for (const candidate of batch)
      if (!ours.has(candidate)) this.tally.fail(candidate.letter.id, new DeadLetterHeldError(candidate.letter.id));
  }

  /** @returns that the connection is lost, where it is: this says nothing about the messages */
  private noteUnconfirmed(sent: readonly Candidate[], results: readonly PublishResult[]): MessagingError | undefined {
    let lost: MessagingError | undefined;
    for (const [at, { letter }] of sent.entries()) {
      const result = results[at];
      if (result.status === 'confirmed') continue;
      this.canaries.notSent(letter.id);
      if (result.error instanceof NotConnectedError) lost = result.error;
      else this.tally.fail(letter.id, result.error);
    }
    return lost;
  }

  /** A canary is sent as the attempt that was its last: failing again it is a dead letter at once, without the waits between. */
  private copyOf(candidate: Candidate): Outgoing {
    if (!this.canaries.isOpen) return candidate.copy(1);
    const { letter } = candidate;
    const outgoing = candidate.copy(Math.max(1, letter.attempts));
    this.canaries.sending(letter, outgoing.to);
    return outgoing;
  }

  private async pace(count: number): Promise<void> {
    const { rateLimit, signal } = this.options;
    if (rateLimit === Infinity) return;
    const { clock } = this.parts;
    const now = clock.monotonic();
    const at = Math.max(now, this.nextSendAt);
    this.nextSendAt = at + (count * 1_000) / rateLimit;
    if (at > now) await sleep(clock, at - now, signal);
  }

  private async judge(): Promise<void> {
    if (!this.canaries.isOpen) return;
    this.waiting = true;
    this.report();
    const good = await this.canaries.judge(this.scope.sources);
    this.waiting = false;
    if (this.options.signal?.aborted) this.tally.stopped ??= 'aborted';
    if (!good) this.tally.stopped = 'canary';
  }

  private report(): void {
    this.options.onProgress?.(this.tally.progress(this.waiting));
  }

  private result(): RedriveResult {
    const canaries = this.options.stages.length > 0 && { canaries: this.canaries.all };
    return { ...this.tally.result(), ...canaries };
  }
}
