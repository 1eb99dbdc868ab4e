import type { CancelTimer } from '../../clock/clock.js';
import { DeliveryLostError } from '../../errors/handling-errors.js';
import type { IdempotentHandling } from '../../idempotency/idempotent-handling.js';
import { BatchContext, type BatchHandler } from '../../pipeline/batch-context.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import { compose, type Handler } from '../../pipeline/middleware.js';
import { Outcome } from '../../pipeline/outcome.js';
import { wholeResultOf } from '../../pipeline/result.js';
import type { BatchTrace, ConsumerTelemetry } from '../../pipeline/telemetry.js';
import { isThenable } from '../../pipeline/thenable.js';
import { withTimeout } from '../../pipeline/timeout.js';
import type { AttemptCount } from '../settlement/attempt-count.js';
import { Batch, type Reply } from './batch.js';
import { type BatchAnswer, returned, thrown } from './batch-answer.js';
import type { BatchDefinition } from '../subscription/batch-definition.js';
import type { Gate } from '../gate.js';
import type { HandledInBatches } from '../subscription/handled.js';
import { HandlerCall, type HandlerCallEnvironment, LATER } from '../call/handler-call.js';
import { handlerChain, type HandlerChainEnvironment } from '../call/handler-chain.js';
import type { Answering } from '../../request/answering.js';
import type { OverdueHandlers } from '../call/overdue-handlers.js';
import { callsAloneOf } from '../settlement/suspicion.js';
import type { Work } from '../call/work.js';

export interface BatchesEnvironment extends HandlerCallEnvironment, HandlerChainEnvironment {
  readonly gate: Gate;
  readonly attempts: AttemptCount;
  readonly overdue: OverdueHandlers;
  readonly handling: ConsumerTelemetry | undefined;
  readonly answering: Answering | undefined;
  /** An entry has its result. */
  readonly ended: (work: Work, outcome: Outcome) => void;
  /** An entry was ready only after the end of all batches: it goes back to the broker. */
  readonly turnedAway: (work: Work) => void;
}

/**
 * Gathers what is ready to be handled, hands it to the handler as batches, and takes the answers apart again.
 *
 * A batch is handled when it is full, or when the first of it has been here for `maxWaitMs`, as soon as there is a slot.
 * What was called or delivered before is handled alone and at once: together with others, a message that makes the handler
 * throw, or ends the process, would take them along to the dead letters.
 */
export class Batches {
  /** How many entries wait for their batch to be handled. */
  gathered = 0;
  readonly idempotency: IdempotentHandling | undefined;
  private readonly definition: BatchDefinition;
  private readonly call: HandlerCall<Work>;
  private readonly handler: BatchHandler;
  /** There is something around each entry, which waits for its result. */
  private readonly wrapped: boolean;
  /** The batch that gathers. When it is old enough it has its place among the ready, and gathers on until its turn. */
  private open: Batch<Work> | undefined;
  private cancelTimer: CancelTimer | undefined;
  /** The batches to be handled as soon as there is a slot, and the gate is open. */
  private readonly ready = new Set<Batch<Work>>();
  /** The batches that have a slot. */
  private readonly handling = new Set<Batch<Work>>();
  /** The entry that is about to join; where entries are wrapped they come to that later, in any order. */
  private coming: Work | undefined;
  private readonly arriving = new Map<MessageContext, Work>();
  private starting = false;
  private closed = false;

  constructor(
    { definition, batchHandler }: HandledInBatches,
    private readonly environment: BatchesEnvironment,
  ) {
    this.definition = definition;
    const { retry, timeoutMs, idempotent } = definition;
    const around = definition.middleware.flatMap(({ batch }) => batch ?? []);
    const composed = compose(around, batchHandler);
    const whole: BatchHandler = (context) => wholeResultOf(composed(context));
    this.handler =
      timeoutMs === undefined
        ? whole
        : withTimeout(whole, timeoutMs, environment.clock, (running, context) => this.runOn(running, context));
    const middleware = [...definition.middleware.filter(({ batch }) => !batch), ...definition.validations];
    this.wrapped = idempotent !== undefined || middleware.length > 0;
    const join: Handler = this.wrapped ? (context) => this.joinWrapped(context) : () => this.joinPlain();
    // The timeout is for the call with the batch, not for the entries that wait for it.
    const chain = handlerChain({ ...definition, middleware, timeoutMs: undefined }, join, environment, () => undefined);
    this.idempotency = chain.idempotency;
    const ended = (work: Work, outcome: Outcome): void => {
      this.arriving.delete(work.context);
      environment.ended(work, outcome);
    };
    this.call = new HandlerCall(chain.handler, retry, environment, ended, undefined, environment.answering);
  }

  /** Lets a message join a batch. Its outcome where it has one already; else that comes later, through `ended`. */
  run(work: Work): Outcome | undefined {
    if (this.wrapped) this.arriving.set(work.context, work);
    else this.coming = work;
    const outcome = this.call.run(work);
    if (outcome) this.arriving.delete(work.context);
    return outcome;
  }

  /** Handles what is ready, as far as slots and the gate allow. */
  advance(): void {
    // Handlers that end at once get here from within: the loop goes on, instead of a recursion.
    if (this.starting) return;
    this.starting = true;
    const { ready, handling, definition, environment } = this;
    const { gate } = environment;
    try {
      while (ready.size > 0 && handling.size < definition.batch.limit && gate.open) {
        const [batch] = ready;
        // A probe is one message.
        if (gate.killSwitch?.probing && batch.live > 1) this.handle(batch.splitFirst());
        else {
          this.forget(batch);
          this.handle(batch);
        }
      }
    } finally {
      this.starting = false;
    }
  }

  /** The result no longer counts; `closed` says so. True: the delivery was not being handled, and is forgotten here. */
  withdraw(work: Work, reason: unknown): boolean {
    const { batch } = work;
    if (!batch) {
      if (!this.arriving.delete(work.context)) return false;
      work.context.abort(reason);
      return true;
    }
    const reply = batch.withdraw(work);
    if (batch.context) {
      if (batch.live > 0) return false;
      batch.context.abort(reason);
      this.environment.gate.killSwitch?.lost(batch);
      return false;
    }
    this.gathered--;
    reply?.reject(reason);
    if (batch.live === 0) this.forget(batch);
    return true;
  }

  /** No batch is handled any more. Returns the entries that wait for one. */
  close(): Work[] {
    this.closed = true;
    this.cancelTimer?.();
    if (this.open) this.ready.add(this.open);
    return [...this.ready].flatMap((batch) => batch.members.filter((work) => work.batch === batch));
  }

  private joinPlain(): unknown {
    this.join(this.coming!, undefined);
    return LATER;
  }

  private joinWrapped(context: MessageContext): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const work = this.arriving.get(context);
      // Middleware that calls `next` twice gets the same answer as one that calls it too late.
      if (!work || work.closed || this.closed) {
        reject(new DeliveryLostError('The message went back to the broker before its batch was handled'));
        if (work && !work.closed) this.environment.turnedAway(work);
        return;
      }
      this.arriving.delete(context);
      this.join(work, { resolve, reject });
    });
  }

  private join(work: Work, reply: Reply | undefined): void {
    const { gate, attempts } = this.environment;
    const suspect = callsAloneOf(work.delivery) > 0;
    const alone = suspect || work.attempt > 1 || attempts.crashesOf(work.delivery, work.attempt) > 0;
    const batch = alone ? new Batch<Work>() : (this.open ??= this.begin(work));
    batch.add(work, reply);
    this.gathered++;
    if (suspect && gate.reserved) return this.handle(batch);
    const full = batch.live >= this.definition.batch.size;
    if (full && !alone) this.endOpen();
    if (full || alone) this.ready.add(batch);
    this.advance();
  }

  /** The age of a batch is that of its first message. */
  private begin(first: Work): Batch<Work> {
    const { clock } = this.environment;
    const wait = first.startedAt + this.definition.batch.maxWaitMs - clock.monotonic();
    this.cancelTimer = clock.after(Math.max(0, wait), () => {
      if (this.open) this.ready.add(this.open);
      this.advance();
    });
    return new Batch<Work>();
  }

  private forget(batch: Batch<Work>): void {
    this.ready.delete(batch);
    if (this.open === batch) this.endOpen();
  }

  private endOpen(): void {
    this.cancelTimer?.();
    this.open = undefined;
  }

  private handle(batch: Batch<Work>): void {
    batch.seal();
    this.gathered -= batch.live;
    const context = new BatchContext(
      this.definition.topology.queue,
      batch.members.map((work) => work.context),
    );
    batch.context = context;
    this.handling.add(batch);
    const { gate } = this.environment;
    if (gate.killSwitch) gate.began(batch);
    const trace = this.environment.handling?.processBatch(batch.members.map(({ delivery }) => delivery));
    let result: unknown;
    try {
      result = trace ? trace.run(this.handler, context) : this.handler(context);
    } catch (error) {
      return this.answered(batch, thrown(error), trace);
    }
    if (!isThenable(result)) return this.answered(batch, this.answerOf(batch, result), trace);
    const promise = result instanceof Promise ? result : Promise.resolve(result);
    promise.then(
      (late) => this.answered(batch, this.answerOf(batch, late), trace),
      (error: unknown) => this.answered(batch, thrown(error), trace),
    );
  }

  private answerOf({ members: { length } }: Batch<Work>, result: unknown): BatchAnswer {
    const answer = returned(result, length);
    if (answer.listed !== undefined && answer.listed > length)
      this.environment.log.warn(
        `«${this.definition.topology.queue}»: the batch handler returned ${answer.listed} outcomes for ${length} messages; those beyond are ignored`,
      );
    return answer;
  }

  private answered(batch: Batch<Work>, answer: BatchAnswer, trace: BatchTrace | undefined): void {
    const { environment } = this;
    const { members } = batch;
    trace?.ended(members.map((_, at) => answer.outcomeAt(at) ?? Outcome.retry(0, answer.errorAt(at))));
    environment.gate.killSwitch?.ended(batch, this.verdict(members, answer));
    for (let at = 0; at < members.length; at++) {
      const work = members[at];
      work.batch = undefined;
      const outcome = answer.outcomeAt(at);
      const reply = batch.replyAt(at);
      if (!reply) {
        const result = outcome ? this.call.limit(work, outcome) : this.call.outcomeOf(work, answer.errorAt(at));
        // Nobody is answered, which is told once.
        void environment.answering?.answer(work.context, result, undefined);
        environment.ended(work, result);
      } else if (outcome) reply.resolve(outcome);
      else reply.reject(answer.errorAt(at));
    }
    if (!batch.overdue) this.slotFree(batch);
  }

  /** The batch as one call: it failed when nothing in it succeeded and something in it is to be repeated. */
  private verdict(members: readonly Work[], answer: BatchAnswer): Outcome {
    const { retry } = this.definition;
    let verdict = Outcome.discard();
    for (let at = 0; at < members.length; at++) {
      const outcome = answer.outcomeAt(at);
      if (outcome?.type === 'ack') return outcome;
      if (outcome ? outcome.type === 'retry' : retry.repeats(answer.errorAt(at))) verdict = Outcome.retry(0);
    }
    return verdict;
  }

  /** A call is past its timeout but runs on: it keeps its slot until it ends, or its grace does. */
  private runOn(running: Promise<unknown>, context: BatchContext): void {
    for (const batch of this.handling) {
      if (batch.context !== context) continue;
      batch.overdue = true;
      this.environment.overdue.add(running, () => this.slotFree(batch));
    }
  }

  private slotFree(batch: Batch<Work>): void {
    this.handling.delete(batch);
    this.advance();
  }
}
