import type { Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { MessagingError } from '../errors/messaging-error.js';
import { NotConnectedError } from '../errors/publish-errors.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import {
  allDeadLetters,
  type PublisherDeadLetter,
  type PublisherDeadLetters,
} from '../publisher/publisher-dead-letters.js';
import type { Outgoing } from '../transport/outgoing.js';
import { publishAll } from '../transport/publish-all.js';
import type { Browser, Transport } from '../transport/transport.js';
import { Canaries } from './canaries.js';
import { type DeadLetter, readDeadLetter, readPublisherDeadLetter } from './dead-letter.js';
import type { DeadLetterMatcher } from './dead-letter-selection.js';
import { RedriveInterruptedError } from './redrive-interrupted-error.js';
import type { RedriveResult, ResolvedRedrive } from './redrive-options.js';
import { type QueueTally, RedriveTally } from './redrive-tally.js';
import { redrivenCopy, republishedCopy } from './redriven.js';

export interface RedriveParts {
  readonly transport: Transport;
  readonly publishers: PublisherDeadLetters;
  readonly clock: Clock;
  readonly events: MessagingEvents;
}

export interface RedriveScope {
  /** The publisher's own are meant, too. */
  readonly publishers: boolean;
  readonly queues: Iterable<string>;
  readonly matches: DeadLetterMatcher;
}

/** One dead letter that is to be sent. */
interface Candidate {
  readonly letter: DeadLetter;
  copy(attempt: number): Outgoing;
  /** Its copy is confirmed: it goes. */
  remove(): void;
}

/**
 * Copies that are sent together. Of RabbitMQ's quorum queues one hands on 32 acks of a channel at a time; what is beyond may
 * wait until after the next batch, and would be sent twice when the process is killed meanwhile.
 */
const BATCH = 25;
/** The publisher's own are counted under a name that no queue has. */
const OWN = '';

/** One run of a redrive. */
export class Redrive {
  private readonly tally: RedriveTally;
  private readonly canaries: Canaries;
  private readonly looks = new Map<string, Browser>();
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
      const queues = await this.measure();
      if (this.scope.publishers) await this.publishersOwn();
      await this.readAll(queues);
      if (!this.tally.stopped) await this.judge();
      this.canaries.end();
      if (this.passedOver) await this.readAll(queues);
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

  /** Those that are there. */
  private async measure(): Promise<string[]> {
    const { publishers, transport } = this.parts;
    const queues: string[] = [];
    if (this.scope.publishers) this.tally.total += publishers.size;
    for (const queue of this.scope.queues) {
      const depth = await transport.depth(queue);
      if (depth === undefined) continue;
      this.tally.total += depth;
      queues.push(queue);
    }
    return queues;
  }

  private async publishersOwn(): Promise<void> {
    const tally = this.tally.of(OWN);
    for (const own of allDeadLetters(this.parts.publishers)) {
      tally.kept++;
      if (this.take(this.candidateOfPublisher(own, tally))) await this.send();
      if (this.canaries.room === 0) await this.judge();
      if (this.tally.stopped) return;
    }
    await this.send();
  }

  private async readAll(queues: readonly string[]): Promise<void> {
    for (const queue of queues) await this.read(queue);
  }

  /** In several looks, where canaries are waited for in between. */
  private async read(queue: string): Promise<void> {
    for (let goesOn = true; goesOn;) {
      if (this.canaries.room === 0) await this.judge();
      if (this.tally.stopped) return;
      const before = this.tally.done;
      const browser = await this.parts.transport.browse(queue, this.looks.get(queue));
      this.looks.set(queue, browser);
      // What an earlier look gave back is shown again.
      this.tally.of(queue).kept = 0;
      try {
        goesOn = await this.look(queue, browser);
      } catch (error) {
        // A broker may end a long look by itself; it is gone on with as long as that leads anywhere.
        if (!(error instanceof NotConnectedError) || this.tally.done === before) throw error;
      } finally {
        this.batch = [];
        await browser.close();
      }
    }
  }

  /** @returns whether there may be more in the queue */
  private async look(queue: string, browser: Browser): Promise<boolean> {
    const tally = this.tally.of(queue);
    const { clock } = this.parts;
    for (;;) {
      const delivery = await browser.next();
      if (!delivery) break;
      tally.kept++;
      const { message } = delivery;
      const letter = readDeadLetter(message, queue);
      const full = this.take({
        letter,
        copy: (attempt) => redrivenCopy(letter, message, attempt, clock.now()),
        remove: () => {
          delivery.ack();
          leave(tally);
        },
      });
      if (full) await this.sendAndCount(browser, tally);
      if (this.options.signal?.aborted) this.tally.stopped ??= 'aborted';
      if (this.tally.stopped || this.canaries.room === 0) return true;
    }
    await this.sendAndCount(browser, tally);
    return false;
  }

  private async sendAndCount(browser: Browser, tally: QueueTally): Promise<void> {
    await this.send();
    tally.arrived = await browser.arrived();
    this.tally.stopOnFailures();
  }

  private candidateOfPublisher(own: PublisherDeadLetter, tally: QueueTally): Candidate {
    const { clock, publishers } = this.parts;
    return {
      letter: readPublisherDeadLetter(own),
      copy: () => republishedCopy(own, clock.now()),
      remove: () => {
        publishers.delete(own);
        leave(tally);
      },
    };
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
    // One without an id could not be recognised when it comes back.
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

  /** Each goes when its copy is confirmed, and only then. */
  private async send(): Promise<void> {
    const batch = this.batch.splice(0);
    const { tally } = this;
    if (batch.length === 0 || tally.stopped) return;
    await this.pace(batch.length);
    if (this.options.signal?.aborted) {
      tally.stopped = 'aborted';
      return;
    }
    const copies = batch.map((candidate) => this.copyOf(candidate));
    const results = await publishAll(this.parts.transport, copies);
    let lost: MessagingError | undefined;
    batch.forEach((candidate, at) => {
      const { letter } = candidate;
      const result = results[at];
      if (result.status === 'confirmed') {
        candidate.remove();
        tally.done++;
        return;
      }
      this.canaries.notSent(letter.id);
      // Nobody is there: this says nothing about the message.
      if (result.error instanceof NotConnectedError) lost = result.error;
      else tally.fail(letter.id, result.error);
    });
    if (tally.done >= this.options.limit) tally.stopped ??= 'limit';
    tally.stopOnFailures();
    this.report();
    if (lost) throw lost;
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
    const good = await this.canaries.judge(this.looks);
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

function leave(tally: QueueTally): void {
  tally.kept--;
  tally.gone++;
}
