import type { Clock } from '../../clock/clock.js';
import { DeliveryLostError } from '../../errors/handling-errors.js';
import type { Log } from '../../events/log.js';
import { nameOf } from '../../message/message-name.js';
import { Outcome } from '../../pipeline/outcome.js';
import { type Delivery, wasDelivered } from '../../transport/delivery.js';
import { messageDigest } from '../../message/message-id.js';
import type { Work } from './work.js';

/** Calls that are remembered at a time. */
const CAPACITY = 1_000;
/** What ended well after so many milliseconds may have cost its connection before its ack was read … */
const LONG_MS = 1_000;
/** … and that shows within so many. */
const ACK_DOUBTFUL_MS = 300_000;

interface CallRecord {
  readonly key: string;
  readonly work: Work;
  ranMs: number;
  /** The broker took its message back because it ran too long. */
  readonly late: boolean;
  running: boolean;
  /** By the monotonic clock: the result counts until then. */
  readonly until: number;
  /** What the call has come to. */
  outcome?: Outcome;
  /** The message has come again and waits for the end of the call. */
  again?: Work;
}

interface LostCallParts {
  readonly clock: Clock;
  readonly log: Log;
  /** What the broker's wait for an ack is called there. */
  readonly limitName: string | undefined;
  /** A message that has come again gets the outcome of its earlier call, … */
  settle(work: Work, outcome: Outcome): void;
  /** … or a call of its own. */
  run(work: Work): void;
}

/**
 * Handler calls whose message the broker took back before it knew their result. In this process such a message is not
 * handled beside itself: when it comes again it waits for the call that runs, and what that came to is its result too. A
 * result counts where the call ended well, or was lost because it took too long; a call that failed because its connection
 * was gone is made again, with no attempt spent. Each call is the result of one message: of two that are equal in
 * everything, the other one is called.
 */
export class LostCalls {
  private readonly calls = new Set<CallRecord>();

  constructor(private readonly parts: LostCallParts) {}

  get size(): number {
    return this.calls.size;
  }

  /** For health: calls that run on though the broker has taken their message back. Undefined when there are none. */
  report(): string | undefined {
    let late = 0;
    for (const call of this.calls) if (call.running && call.late) late++;
    if (late === 0) return undefined;
    return `${late === 1 ? '1 handler runs' : `${late} handlers run`} longer than the broker waits for an ack`;
  }

  /** The delivery of a call that runs is lost. `lateMs`: because it was not settled within so many milliseconds. */
  lost(work: Work, lateMs: number | undefined): void {
    const { message, queue } = work.delivery;
    const ranMs = Math.round(this.parts.clock.monotonic() - work.startedAt);
    const late = lateMs !== undefined && ranMs >= lateMs * 0.9;
    if (late)
      this.parts.log.warn(
        `«${queue}»: the broker took ${nameOf(message)} back after ${ranMs} ms, while its handler ran: it did not wait longer for an ack. Set the subscription’s «timeout» below that, or raise the broker’s own${this.parts.limitName === undefined ? '' : ` (${this.parts.limitName})`}`,
      );
    this.add({ key: messageDigest(message), work, ranMs, late, running: true, until: Infinity });
  }

  /** A call whose delivery was lost has ended. */
  ended(work: Work, outcome: Outcome): void {
    for (const call of this.calls) {
      if (call.work !== work) continue;
      const { again } = call;
      call.running = false;
      call.ranMs = Math.round(this.parts.clock.monotonic() - work.startedAt);
      if (outcome === Outcome.ack || (call.late && outcome.type !== 'give-back')) call.outcome = outcome;
      if (!call.outcome || again) this.calls.delete(call);
      if (again) this.resolve(call, again);
      return;
    }
  }

  /** A call has ended well, and its ack is being written. */
  endedWell(work: Work): void {
    const now = this.parts.clock.monotonic();
    const ranMs = Math.round(now - work.startedAt);
    if (ranMs < LONG_MS) return;
    const until = now + ACK_DOUBTFUL_MS;
    const key = messageDigest(work.delivery.message);
    this.add({ key, work, ranMs, late: false, running: false, until, outcome: Outcome.ack });
  }

  /** Whether the message needs no call of its own, or not yet. */
  takes(work: Work): boolean {
    const { id } = work.delivery.message;
    if (id === '' || !wasDelivered(work.delivery)) return false;
    let key: string | undefined;
    for (const call of this.calls) {
      if (call.work.delivery.message.id !== id || call.again) continue;
      if (call.key !== (key ??= messageDigest(work.delivery.message))) continue;
      if (call.running) {
        call.again = work;
        return true;
      }
      this.calls.delete(call);
      if (call.until < this.parts.clock.monotonic()) continue;
      this.resolve(call, work);
      return true;
    }
    return false;
  }

  /** The message that waited for a call is lost again, or given back. False: it did not wait. */
  withdraw(work: Work): boolean {
    for (const call of this.calls) {
      if (call.again !== work) continue;
      call.again = undefined;
      return true;
    }
    return false;
  }

  private resolve({ outcome, ranMs, work: { attempt } }: CallRecord, work: Work): void {
    if (!outcome) return this.parts.run(work);
    const { queue, message } = work.delivery;
    if (outcome === Outcome.ack)
      this.parts.log.warn(
        `«${queue}»: ${nameOf(message)} came again, but its call had ended well after ${ranMs} ms: that counts. Where handlers hold up the event loop for longer than the heartbeat of the connection allows, let them yield, or raise the option «heartbeat»`,
      );
    work.attempt = attempt;
    this.parts.settle(work, outcome);
  }

  private add(call: CallRecord): void {
    if (call.work.delivery.message.id === '') return;
    this.calls.add(call);
    if (this.calls.size <= CAPACITY) return;
    for (const oldest of this.calls) if (!oldest.running) return void this.calls.delete(oldest);
  }
}

/** What the handler of a lost delivery is told. */
export function lostError({ message }: Delivery): DeliveryLostError {
  return new DeliveryLostError(
    `The connection that delivered ${nameOf(message)} is gone; the broker delivers it again`,
  );
}

/** The handler still runs when the application may wait no longer. */
export function pastDeadlineError(): DeliveryLostError {
  return new DeliveryLostError('The application stops and the handler ran past its deadline');
}
