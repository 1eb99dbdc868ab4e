import type { Clock } from '../../clock/clock.js';
import { deadLetterCopy } from './dead-letter-copy.js';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import { DeliveryLostError } from '../../errors/handling-errors.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { errorMessage } from '../../errors/redact.js';
import type { Log } from '../../events/log.js';
import type { MessagingEvents } from '../../events/messaging-events.js';
import { nameOf } from '../../message/message-name.js';
import { Outcome } from '../../pipeline/outcome.js';
import type { ConsumerTelemetry, SettleTrace, Telemetry } from '../../pipeline/telemetry.js';
import type { Delivery } from '../../transport/delivery.js';
import { deliveryView } from '../../transport/delivery-view.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { Answering } from '../../request/answering.js';
import type { Topology } from '../../transport/topology.js';
import type { Transport } from '../../transport/transport.js';
import type { AttemptCount } from './attempt-count.js';
import { copyToQueue, originHeaders } from './copy.js';
import { CopyTrouble } from './copy-trouble.js';
import { because, FailureLog } from './failure-log.js';
import { givenUp, giveUp, whoTakes } from './given-up.js';
import { earlyBy } from './not-before.js';
import { callsAloneOf, MAX_CRASHES } from './suspicion.js';

/** What becomes of one delivery in the end. */
export type SettledAs = 'ack' | 'retry' | 'dead-letter' | 'discard' | 'released';

export interface SettlementEnvironment {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly events: MessagingEvents;
  readonly log: Log;
  readonly service: string;
  readonly deadLetterStack: boolean;
  readonly telemetry?: Telemetry;
  /** Answers requests that go back. */
  readonly answering?: Answering;
}

/** Waiting times before an original whose copy could not be written is given back, in milliseconds. */
const GIVE_BACK_INITIAL = 500;
const GIVE_BACK_MAX = 30_000;

/**
 * Turns an Outcome into broker calls: the only caller of ack, release and move. The original is acked only after its copy
 * (retry, deferral or dead letter) is confirmed; where the copy cannot be written the original is given back, with backoff.
 */
export class Settlement {
  readonly failures: FailureLog;
  private readonly trouble: CopyTrouble;
  private giveBackWait = 0;
  private giveBackSince = -Infinity;

  constructor(
    private readonly topology: Topology,
    private readonly attempts: AttemptCount,
    private readonly environment: SettlementEnvironment,
    /** Messages keep their order, which a copy does not: it is made as late as can be. */
    private readonly keepsOrder = false,
    /** Whether somebody waits for the broker's answer to an ack, where it gives one. */
    private readonly awaitsAcks = false,
    private readonly telemetry?: ConsumerTelemetry,
    /** Handler calls in all. */
    maxAttempts?: number,
  ) {
    this.failures = new FailureLog(topology.queue, environment, maxAttempts);
    this.trouble = new CopyTrouble(environment.clock);
  }

  /** Why copies cannot be written, where they cannot. */
  get problem(): string | undefined {
    return this.trouble.report();
  }

  /** Resolves when the broker was told; it never rejects. */
  settle(delivery: Delivery, attempt: number, outcome: Outcome): SettledAs | Promise<SettledAs> {
    switch (outcome.type) {
      case 'ack':
        if (this.awaitsAcks) return this.ackAwaited(delivery);
        delivery.ack();
        return 'ack';
      case 'retry':
        return this.retry(delivery, attempt, outcome);
      case 'defer':
        return this.defer(delivery, attempt, outcome.delayMs);
      case 'dead-letter':
        return this.deadLetter(delivery, attempt, outcome);
      case 'discard':
        return this.discard(delivery, attempt, outcome.error);
      case 'give-back':
        return this.giveBack(delivery, attempt, 0);
      case 'suspect':
        return this.suspect(delivery, attempt, outcome.delayMs);
    }
  }

  /**
   * Sends a message on, to be called alone in `waitMs` milliseconds. That its call comes is written down before it begins:
   * the copy says so, and what the broker counted of the original is left behind.
   */
  private suspect(delivery: Delivery, attempt: number, waitMs: number): Promise<SettledAs> {
    const { log } = this.environment;
    const alone = callsAloneOf(delivery) + 1;
    log.warn(
      `«${delivery.queue}»: ${nameOf(delivery.message)} was delivered again and again without a result: its process ended, or lost its connection. It will be called alone`,
    );
    return this.move(delivery, attempt, this.copy(delivery, attempt, waitMs, alone), 'retry');
  }

  /** Gives a delivery back without spending an attempt: this consumer stops; `waitMs` is left until its handler call. */
  async giveBack(delivery: Delivery, attempt: number, waitMs: number): Promise<SettledAs> {
    if (await this.environment.answering?.unavailable(delivery)) {
      delivery.ack();
      return 'ack';
    }
    if (this.mustCopyBack(delivery)) {
      const result = await this.write(delivery, this.copy(delivery, attempt, waitMs, callsAloneOf(delivery)));
      if (result.status === 'confirmed') return 'released';
    }
    return this.release(delivery, undefined);
  }

  /** Gives a delivery back after a while, because something about it went wrong that nobody has thought of. */
  giveBackLater(delivery: Delivery): void {
    this.release(delivery, this.nextGiveBackWait());
  }

  /**
   * A redelivery is an attempt where the broker counts those; elsewhere a second one would start to look like a crash to
   * the next process, and the last one that is not taken for one is the one before MAX_CRASHES. A fresh copy is neither.
   * Of a suspect each redelivery is a call alone.
   */
  mustCopyBack(delivery: Delivery): boolean {
    const { deliveryCount = 0 } = delivery;
    if (callsAloneOf(delivery) > 0) return true;
    if (this.environment.transport.capabilities.retry === 'redelivery') return true;
    return deliveryCount >= (this.keepsOrder ? MAX_CRASHES - 1 : 1);
  }

  private ackAwaited(delivery: Delivery): SettledAs | Promise<SettledAs> {
    const trace = this.telemetry?.settle(delivery, 'ack');
    if (delivery.ackConfirmed) return this.ackConfirmed(delivery, trace);
    delivery.ack();
    trace?.ended(undefined);
    return 'ack';
  }

  private async ackConfirmed(delivery: Delivery, trace: SettleTrace | undefined): Promise<SettledAs> {
    const taken = await delivery.ackConfirmed!();
    trace?.ended(taken ? undefined : new DeliveryLostError('The connection was lost before the ack was answered'));
    if (taken) return 'ack';
    this.attempts.excuse(delivery);
    return 'released';
  }

  private retry(delivery: Delivery, attempt: number, outcome: Outcome): SettledAs | Promise<SettledAs> {
    const { delayMs, error } = outcome;
    const { retry, maxReleaseMs = Infinity } = this.environment.transport.capabilities;
    this.failures.retried(delivery, attempt, delayMs, error);
    if (retry === 'redelivery' && delayMs <= maxReleaseMs) {
      delivery.release(delayMs);
      return 'retry';
    }
    return this.move(delivery, attempt, this.copy(delivery, attempt + 1, delayMs), 'retry', outcome);
  }

  /** A message that came too early says its own time: a broker that holds it as it is, or must, needs no copy. */
  private defer(delivery: Delivery, attempt: number, delayMs: number): SettledAs | Promise<SettledAs> {
    const { clock, transport } = this.environment;
    const { retry, maxDelayMs, maxReleaseMs = Infinity } = transport.capabilities;
    const early = earlyBy(delivery, clock, maxDelayMs);
    // Where nothing can be delayed a copy would be back at once.
    const isHeld = maxDelayMs === 0 || (retry === 'redelivery' && early <= maxReleaseMs);
    if (early > 0 && isHeld) return this.release(delivery, Math.min(early, maxReleaseMs));
    return this.move(delivery, attempt, this.copy(delivery, attempt, delayMs, callsAloneOf(delivery)), 'retry');
  }

  private copy(delivery: Delivery, attempt: number, delayMs: number, suspect = 0): Outgoing {
    const { clock, transport } = this.environment;
    return copyToQueue(delivery, attempt, {
      now: clock.now(),
      delayMs,
      suspect,
      maxDelayMs: transport.capabilities.maxDelayMs,
      home: this.topology.partitionOf,
      goesWithQueue: this.topology.exclusive !== undefined,
    });
  }

  private async deadLetter(delivery: Delivery, attempt: number, outcome: Outcome): Promise<SettledAs> {
    const { reason = 'unrecoverable', error } = outcome;
    const { deadLetter } = this.topology;
    if (!deadLetter) return this.giveUp(delivery, attempt, error);
    const { clock, service, deadLetterStack, events } = this.environment;
    const origin = originHeaders(delivery, this.topology.partitionOf);
    const copy = deadLetterCopy(
      { delivery, origin, attempt, reason, error, service, now: clock.now(), stack: deadLetterStack },
      deadLetter.route,
    );
    const settled = await this.move(delivery, attempt, copy, 'dead-letter', outcome);
    if (settled === 'dead-letter') {
      this.attempts.unwritten.written(delivery);
      const line = `${nameOf(copy.message)} went to «${deadLetter.queue}» (${reason}) after call ${attempt}${because(error)}`;
      this.failures.ended(delivery, attempt, error, line, { reason, deadLetterQueue: deadLetter.queue });
      if (events.has('dead-lettered'))
        events.emit('dead-lettered', { delivery: deliveryView(delivery), attempt, reason, error });
    }
    return settled;
  }

  private giveUp(delivery: Delivery, attempt: number, error: unknown): SettledAs {
    const line = `${nameOf(delivery.message)} was ${givenUp(delivery)} after call ${attempt} (dlq: false)${because(error)}${whoTakes(delivery)}`;
    this.failures.ended(delivery, attempt, error, line);
    giveUp(delivery);
    this.telemetry?.dropped();
    return 'discard';
  }

  private discard(delivery: Delivery, attempt: number, error: unknown): SettledAs {
    const line = `${nameOf(delivery.message)} was dropped after call ${attempt}${because(error)}`;
    this.failures.ended(delivery, attempt, error, line);
    delivery.ack();
    this.telemetry?.dropped();
    return 'discard';
  }

  private async move(
    delivery: Delivery,
    attempt: number,
    copy: Outgoing,
    settled: 'retry' | 'dead-letter',
    outcome?: Outcome,
  ): Promise<SettledAs> {
    const trace = this.telemetry?.settle(delivery, settled);
    const result = await this.write(delivery, copy);
    trace?.ended('error' in result ? result.error : undefined);
    if (result.status === 'confirmed') {
      this.trouble.written();
      this.giveBackWait = 0;
      this.giveBackSince = -Infinity;
      return settled;
    }
    if (outcome && (settled === 'dead-letter' || (result.status === 'failed' && result.missing)))
      this.attempts.unwritten.keep(delivery, attempt, outcome);
    if (result.status === 'refused') return this.copyRefused(delivery, attempt, settled, result.error);
    return this.copyFailed(delivery, result);
  }

  /** No copy of the message can ever be written, so trying again would go on for ever. */
  private async copyRefused(
    delivery: Delivery,
    attempt: number,
    wanted: 'retry' | 'dead-letter',
    error: MessagingError,
  ): Promise<SettledAs> {
    const { events, log } = this.environment;
    log.error(`«${delivery.queue}»: no copy of ${nameOf(delivery.message)} can be written: ${error.message}`);
    if (events.has('store-error')) events.emit('store-error', { operation: 'copy', error });
    if (wanted === 'retry') return this.deadLetter(delivery, attempt, Outcome.deadLetter('unrecoverable', error));
    if (delivery.reject) {
      delivery.reject();
      return 'dead-letter';
    }
    this.trouble.failed(error);
    return this.release(delivery, this.nextGiveBackWait());
  }

  private async copyFailed(
    delivery: Delivery,
    result: Exclude<PublishResult, { status: 'confirmed' }>,
  ): Promise<SettledAs> {
    const { events, log } = this.environment;
    log.warn(
      `«${delivery.queue}»: the copy of ${nameOf(delivery.message)} could not be written, it is given back: ${result.error.message}`,
    );
    if (events.has('store-error')) events.emit('store-error', { operation: 'copy', error: result.error });
    this.trouble.failed(result.error);
    if (result.status === 'unroutable') await this.redeclare();
    return this.release(delivery, this.nextGiveBackWait());
  }

  /** What fails together waits equally long: an outage of a second must not hold its hundredth message for half a minute. */
  private nextGiveBackWait(): number {
    const now = this.environment.clock.monotonic();
    if (now >= this.giveBackSince + this.giveBackWait) {
      this.giveBackSince = now;
      this.giveBackWait = Math.min(GIVE_BACK_MAX, Math.max(GIVE_BACK_INITIAL, this.giveBackWait * 2));
    }
    return this.giveBackWait;
  }

  /** The queue that the copy should have gone to was deleted. */
  private async redeclare(): Promise<void> {
    try {
      await this.environment.transport.declare(this.topology);
    } catch (error) {
      const what = error instanceof TopologyMismatchError ? error.message : errorMessage(error);
      this.environment.log.error(`«${this.topology.queue}» could not be declared again: ${what}`);
    }
  }

  private release(delivery: Delivery, delayMs: number | undefined): SettledAs {
    this.attempts.excuse(delivery);
    delivery.release(delayMs);
    return 'released';
  }

  /** Writes the copy, and acks the original once it is confirmed. */
  private async write(delivery: Delivery, copy: Outgoing): Promise<PublishResult> {
    if (delivery.move) return delivery.move(copy);
    const result = await new Promise<PublishResult>((resolve) =>
      this.environment.transport.publish([copy], (_, fate) => resolve(fate)),
    );
    if (result.status === 'confirmed') delivery.ack();
    return result;
  }
}
