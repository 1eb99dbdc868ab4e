import { nextTurn } from '../../../clock/turn.js';
import type { MessagingError } from '../../../errors/messaging-error.js';
import { NotConnectedError, PublishFailedError } from '../../../errors/publish-errors.js';
import type { Headers } from '../../../message/headers.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../../transport/outgoing.js';
import type { PublishDone, TransportEnvironment } from '../../../transport/transport.js';
import { delayedTooLong, unroutable } from '../../kit/envelope.js';
import { MAX_DELAY_MS, delayLevels } from '../topology/delay-path.js';
import { pathHeaders } from '../topology/delay-topology.js';
import { type Declarations, type DelayRoute, MissingTopologyError } from '../topology/declarations.js';
import {
  encode,
  encodingError,
  expirationOf,
  isDirectReply,
  isTableTooLarge,
  leanerHeaders,
  refusal,
  roomFor,
  targetOf,
  type Target,
} from '../wire/encode.js';
import { transportHeader, type Names } from '../names.js';
import type { PublishLinePair } from './publish-line-pair.js';
import type { Sending } from './sending.js';

/** A message that waits until what it needs is declared. */
interface WaitingSend {
  readonly outgoing: Outgoing;
  readonly done: PublishDone;
  readonly again: boolean;
}

/** Messages in the order they came. A delayed one has no order with the others: it must not make them wait. */
class SendLane {
  held: WaitingSend[] = [];
  preparing = false;
}

/** Turns outgoing messages into AMQP publishes, in their order, and confirms into results. */
export class Publisher {
  /** Something goes through the delay levels. */
  onDelayed: () => void = () => {};
  private readonly immediate = new SendLane();
  private readonly delayed = new SendLane();
  private results: (() => void)[] = [];

  constructor(
    private readonly lines: PublishLinePair,
    private readonly declarations: Declarations,
    private readonly names: Names,
    private readonly maxBytes: number,
    private readonly environment: TransportEnvironment,
  ) {
    lines.resolved = (entry, result) => this.resolved(entry, result);
  }

  publish(batch: readonly Outgoing[], done: PublishDone): void {
    const now = this.environment.clock.monotonic();
    for (const outgoing of batch) {
      const lane = outgoing.dueAt === undefined ? this.immediate : this.delayed;
      if (lane.held.length > 0 || !this.send(outgoing, done, false, now))
        this.hold(lane, { outgoing, done, again: false });
    }
  }

  /** False when something must be declared first. */
  private send(outgoing: Outgoing, done: PublishDone, again: boolean, now: number): boolean {
    const obstacle = this.lines.obstacle;
    if (obstacle !== undefined) return this.tell(outgoing, done, failed(new NotConnectedError(obstacle)));
    const problem = refusal(outgoing, this.maxBytes);
    if (problem) return this.tell(outgoing, done, { status: 'refused', error: problem });
    const target = targetOf(outgoing.to, this.names);
    const delayMs = this.delayOf(outgoing);
    if (delayMs > 0) return this.sendDelayed(outgoing, done, again, now, target, delayMs);
    const unanswered = this.lines.obstacleTo(target.exchange, target.routingKey);
    if (unanswered) return this.tell(outgoing, done, failed(unanswered));
    if (!this.declarations.hasExchange(target.exchange)) return false;
    const mandatory = outgoing.mandatory && !isDirectReply(target);
    this.write(outgoing, done, target, outgoing.message.headers, mandatory, now, undefined, again);
    return true;
  }

  private sendDelayed(
    outgoing: Outgoing,
    done: PublishDone,
    again: boolean,
    now: number,
    target: Target,
    delayMs: number,
  ): boolean {
    const tooLong = delayedTooLong(delayMs, MAX_DELAY_MS, 'RabbitMQ');
    if (tooLong) return this.tell(outgoing, done, { status: 'refused', error: tooLong });
    const toQueue = outgoing.to.kind === 'queue';
    const delay: DelayRoute = { levels: delayLevels(delayMs), queue: toQueue ? target.routingKey : undefined };
    const unanswered = this.lines.obstacleTo(this.names.delay, target.routingKey, delay);
    if (unanswered) return this.tell(outgoing, done, failed(unanswered));
    if (!this.declarations.hasDelay(delay)) return false;
    const headers: Headers = {
      ...outgoing.message.headers,
      ...pathHeaders(delay.levels),
      ...(outgoing.mandatory ? undefined : { [transportHeader.optional]: true }),
      ...(toQueue
        ? undefined
        : { [transportHeader.targetExchange]: target.exchange, [transportHeader.targetKey]: target.routingKey }),
    };
    // An empty key cannot be the name of a queue: it leads to the forwarder.
    const entry: Target = { exchange: this.names.delay, routingKey: toQueue ? target.routingKey : '' };
    this.write(outgoing, done, entry, headers, true, now, delay, again);
    return true;
  }

  private write(
    outgoing: Outgoing,
    done: PublishDone,
    target: Target,
    headers: Headers,
    mandatory: boolean,
    now: number,
    delay: DelayRoute | undefined,
    again: boolean,
  ): void {
    let entry: Sending | undefined;
    try {
      const { message, to } = outgoing;
      // In a delay level it would take the message on too early.
      const expiration = delay ? undefined : expirationOf(message, to, this.environment.clock.now());
      const options = encode(message, headers, to, mandatory, expiration);
      const { exchange, routingKey } = target;
      entry = {
        exchange,
        routingKey,
        body: message.body,
        options,
        room: roomFor(to),
        sentAt: now,
        returned: false,
        outgoing,
        done,
        delay,
        again,
      };
      this.lines.send(entry);
    } catch (error) {
      const problem =
        entry && outgoing.to.kind === 'dead-letter' && isTableTooLarge(error)
          ? this.writeLeaner(entry, headers)
          : error;
      if (problem === undefined) return;
      const reason = problem instanceof NotConnectedError ? problem : encodingError(problem);
      this.tell(outgoing, done, { status: reason.retryable ? 'failed' : 'refused', error: reason });
    }
  }

  /** A dead letter goes with less about its error rather than not at all. Returns why it did not go, if so. */
  private writeLeaner(entry: Sending, headers: Headers): unknown {
    let problem: unknown;
    for (const leaner of leanerHeaders(headers)) {
      try {
        const { message, to } = entry.outgoing;
        this.lines.send({ ...entry, options: encode(message, leaner, to, entry.options.mandatory === true) });
        return undefined;
      } catch (error) {
        problem = error;
        if (!isTableTooLarge(error)) break;
      }
    }
    return problem;
  }

  private hold(lane: SendLane, held: WaitingSend): void {
    lane.held.push(held);
    if (!lane.preparing) void this.prepare(lane);
  }

  /** Declares what the first held message needs and sends on; whatever was published meanwhile waits behind it. */
  private async prepare(lane: SendLane): Promise<void> {
    lane.preparing = true;
    while (lane.held.length > 0) {
      const { outgoing, done, again } = lane.held[0];
      if (!this.send(outgoing, done, again, this.environment.clock.monotonic())) {
        const problem = await this.declare(outgoing).catch((error: MessagingError) => error);
        if (!problem) continue;
        this.failWithFirst(lane, problem);
      } else {
        lane.held.shift();
      }
    }
    lane.preparing = false;
  }

  /** What waits for the same fails with it: one after the other, each would wait for the same timeout. */
  private failWithFirst(lane: SendLane, error: MessagingError): void {
    const [first] = lane.held;
    const need = this.needOf(first.outgoing);
    const fails = (held: WaitingSend): boolean => held === first || this.needOf(held.outgoing) === need;
    const result: PublishResult = {
      status: error.retryable ? 'failed' : 'refused',
      error,
      ...(error instanceof MissingTopologyError && { missing: true }),
    };
    const left: WaitingSend[] = [];
    for (const held of lane.held) {
      if (fails(held)) this.tell(held.outgoing, held.done, result);
      else left.push(held);
    }
    lane.held = left;
  }

  /** What must be declared for it: an exchange, or the levels of a delay. */
  private needOf(outgoing: Outgoing): string | number {
    const delayMs = this.delayOf(outgoing);
    return delayMs > 0 ? delayLevels(delayMs)[0] : targetOf(outgoing.to, this.names).exchange;
  }

  private delayOf({ dueAt }: Outgoing): number {
    return dueAt === undefined ? 0 : dueAt - this.environment.clock.now();
  }

  private declare(outgoing: Outgoing): Promise<void> {
    const target = targetOf(outgoing.to, this.names);
    const delayMs = this.delayOf(outgoing);
    if (delayMs <= 0) return this.declarations.prepareExchange(target.exchange);
    const queue = outgoing.to.kind === 'queue' ? target.routingKey : undefined;
    this.onDelayed();
    return this.declarations.prepareDelay({ levels: delayLevels(delayMs), queue });
  }

  /** Called by the line with the fate of an entry. */
  private resolved(entry: Sending, result: PublishResult): void {
    if (result !== CONFIRMED || !entry.returned) return this.finish(entry, result);
    if (this.declarations.isBeingBound(entry.exchange)) {
      const why = `The exchange «${entry.exchange}» was deleted and is there again; «${entry.routingKey}» is not bound yet`;
      return this.finish(entry, failed(new PublishFailedError(why)));
    }
    if (!entry.delay) {
      const error = unroutable(entry.outgoing, this.names.exchange);
      return this.finish(entry, { status: 'unroutable', error });
    }
    this.declarations.forgetDelay(entry.delay);
    if (entry.again)
      return this.finish(entry, failed(new PublishFailedError('The delay level is missing on the broker')));
    this.hold(this.delayed, { outgoing: entry.outgoing, done: entry.done, again: true });
  }

  private finish(entry: Sending, result: PublishResult): void {
    entry.done(entry.outgoing, result);
  }

  /** Tells a result that is known at once, but not from within `publish`. */
  private tell(outgoing: Outgoing, done: PublishDone, result: PublishResult): true {
    if (this.results.length === 0) {
      nextTurn(() => {
        const results = this.results;
        this.results = [];
        for (const deliver of results) deliver();
      });
    }
    this.results.push(() => done(outgoing, result));
    return true;
  }
}

function failed(error: MessagingError): PublishResult {
  return { status: 'failed', error };
}
