import type { IdempotencyCounts } from '../idempotency/idempotent-handling.js';
import { nameOf } from '../message/message-name.js';
import type { Serializer } from '../message/serializer.js';
import { readersOf } from '../pipeline/decode.js';
import { MessageContext } from '../pipeline/message-context.js';
import { Outcome } from '../pipeline/outcome.js';
import type { Delivery } from '../transport/delivery.js';
import { queuesOf } from '../transport/queue-operations.js';
import { type AttemptCount, attemptCountFor } from './settlement/attempt-count.js';
import type { Batches } from './batch/batches.js';
import { CallStart } from './call/call-start.js';
import { type Calls, callsFor } from './calls.js';
import { ConsumerReports, type SettlementFollower } from './consumer-reports.js';
import { type ConsumerState, Gate } from './gate.js';
import { GiveBacks } from './give-backs.js';
import type { HandlerChainEnvironment } from './call/handler-chain.js';
import type { HandledSubscription } from './subscription/handled.js';
import { HeldMessages, withoutHold } from './call/held-messages.js';
import { Intake } from './intake.js';
import { LeaseKeeper } from './call/lease-keeper.js';
import { OverdueHandlers } from './call/overdue-handlers.js';
import { OverdueSlots } from './call/overdue-slots.js';
import { Precheck } from './settlement/precheck.js';
import { lostError, pastDeadlineError } from './call/lost-calls.js';
import type { QueueConsumer, QueueReport } from './queue-consumer.js';
import { Answering } from '../request/answering.js';
import type { Schedule } from './schedule/schedule.js';
import { Settlement } from './settlement/settlement.js';
import { Settling } from './settling.js';
import type { SubscriptionDefinition } from './subscription/subscription-definition.js';
import { until } from '../clock/sleep.js';
import type { Work } from './call/work.js';

export interface ConsumerEnvironment extends HandlerChainEnvironment {
  readonly serializer: Serializer;
  /** What earlier consumers of the same queue in this process have learnt of its messages. Default: nothing. */
  readonly attempts?: AttemptCount;
}

/** One subscription at work: intake → schedule → pipeline → settlement → drain. */
export class Consumer implements QueueConsumer, QueueReport {
  readonly definition: SubscriptionDefinition;
  private readonly attempts: AttemptCount;
  private readonly precheck: Precheck;
  private readonly settlement: Settlement;
  private readonly settling: Settling;
  private readonly calls: Calls;
  private readonly callStart: CallStart;
  /** With it, messages are handled in batches. */
  private readonly batches: Batches | undefined;
  private readonly overdue: OverdueHandlers;
  private readonly schedule: Schedule<Delivery>;
  /** With it, failed messages are retried in place, and what comes after them waits. */
  private readonly held: HeldMessages | undefined;
  private readonly leases: LeaseKeeper | undefined;
  private readonly running = new Map<Delivery, Work>();
  private readonly giveBacks: GiveBacks;
  readonly intake: Intake;
  private readonly reports: ConsumerReports;
  private readonly gate: Gate;
  private intakeEnded = false;
  private ending: Promise<void> | undefined;
  private advancing = false;
  private idle: (() => void)[] = [];

  constructor(
    handled: HandledSubscription,
    private readonly environment: ConsumerEnvironment,
    /** Whoever wants to know what became of each message; its acks are then answered by the broker, where it can. */
    follower?: SettlementFollower,
  ) {
    const definition = (this.definition = handled.definition);
    const { retry, prefetch, topology, timeoutMs, concurrency, group } = definition;
    const { transport, clock, events, log } = environment;
    const { serializer = environment.serializer } = definition;
    const { capabilities } = transport;
    this.attempts = environment.attempts ?? attemptCountFor(capabilities, retry, prefetch);
    this.precheck = new Precheck(this.attempts, clock, definition.delayMs, capabilities.maxDelayMs);
    this.schedule = concurrency.schedule({ prefetch, ...readersOf(serializer) });
    if (concurrency.maxHoldMs !== undefined)
      this.held = new HeldMessages(concurrency.maxHoldMs, clock, (work) => this.due(work));
    if (capabilities.leaseMs < Infinity)
      this.leases = new LeaseKeeper(capabilities.leaseMs, { clock, log }, this.unsettled);
    const keepsOrder = !!this.held;
    const telemetry = follower ? follower.telemetry : environment.telemetry?.consumer({ queue: topology.queue, group });
    const own = { ...environment, answering: Answering.of(definition, { ...environment, serializer }) };
    this.settlement = new Settlement(topology, this.attempts, own, keepsOrder, !!follower, telemetry, retry.attempts);
    const reports = (this.reports = new ConsumerReports(topology.queue, events, clock, follower));
    this.settling = new Settling({ settlement: this.settlement, reports, log, leave: (work) => this.leave(work) });
    const stopped = (reason: string): void => reports.stopped(reason);
    const { settlement, attempts, precheck, schedule, running, held } = this;
    const ackDelayMs = own.answering?.ackDelayMs ?? 0;
    this.intake = new Intake({ transport, log, topology, prefetch, ackDelayMs, keepsOrder, stopped, attempts });
    this.gate = new Gate(this.intake, reports, definition.killSwitch, clock, () => this.next());
    this.giveBacks = new GiveBacks({ settlement, attempts, precheck, schedule, clock, log });
    this.overdue = new OverdueHandlers(timeoutMs ?? 0, clock, () =>
      log.warn(`«${this.queue}»: a handler runs on long after its timeout; another may start beside it now`),
    );
    const slots = new OverdueSlots({ overdue: this.overdue, running, schedule, held, next: () => this.next() });
    this.calls = callsFor(handled, {
      ...{ ...own, serializer, gate: this.gate, attempts, overdue: this.overdue, handling: telemetry },
      ended: (work, outcome) => this.ended(work, outcome),
      runOn: (call, context) => slots.runOn(call, context),
      turnedAway: (work) => this.giveBacks.add(this.abandon(work)),
    });
    this.batches = this.calls.batches;
    this.callStart = new CallStart({
      ...{ precheck, schedule, clock, log, gate: this.gate, limitName: capabilities.ackTimeoutName },
      workOf: (delivery) => this.workOf(delivery, false),
      running: () => this.busy,
      run: (work) => this.run(work),
      settle: (work, outcome) => this.settling.settle(work, outcome),
    });
  }

  /** Undefined: the subscription does not look for duplicates. */
  get idempotency(): IdempotencyCounts | undefined {
    return this.calls.idempotency;
  }

  get queue(): string {
    return this.definition.topology.queue;
  }

  get state(): ConsumerState {
    return this.gate.state;
  }

  /** Why the queue is not consumed, where that is nobody's wish; else what is wrong with its handlers. */
  get reason(): string | undefined {
    const { gate, intake, overdue, settlement, callStart } = this;
    const own = gate.reason ?? intake.standstill ?? overdue.report() ?? settlement.problem ?? callStart.problem;
    // Every slot of the prefetch is taken by messages that wait for a retry, or behind one that does.
    return own ?? (this.inFlight < this.definition.prefetch ? undefined : this.held?.congestion(this.running.size));
  }

  /** Messages in this process that are not settled yet. */
  get inFlight(): number {
    return this.running.size + this.schedule.waiting.size;
  }

  /** Some message that is here was delivered before. */
  get holdsRedelivered(): boolean {
    return this.unsettled().some(({ deliveryCount = 0 }) => deliveryCount > 0);
  }

  queues(): readonly QueueReport[] {
    return [this];
  }

  async declare(): Promise<void> {
    await this.intake.declare();
  }

  /** Declares the topology and begins to consume. @throws TopologyMismatchError and what else waiting cannot cure */
  async start(): Promise<void> {
    await this.intake.start({
      delivery: (delivery) => this.take(delivery),
      lost: (delivery, lateMs) => this.lose(delivery, lateMs),
    });
  }

  /** Starts no handler until `resume`; running ones finish, and what has come already waits here. */
  pause(): void {
    this.gate.pause();
  }

  /** Ends a pause, and closes the kill switch. */
  resume(): void {
    this.gate.resume();
  }

  /** The schedule may have a message to be handled, though none has come and none has ended. */
  advance(): void {
    this.next();
  }

  /**
   * Stops the intake at once, gives back what has not started, and waits for running handlers until `deadline` is
   * aborted; what runs on then is given back as well. Where messages keep their order the handlers end first: nobody else
   * may begin with a later message of a key meanwhile. Calling it again waits for the same end.
   */
  async stop(deadline: AbortSignal): Promise<void> {
    await this.endIntake(deadline);
    await this.drained(deadline);
    for (const work of this.running.values()) this.giveBacks.add(this.abandon(work));
    await this.giveBacks.endedAfterDeadline();
    this.leases?.stop();
  }

  /** The first part of `stop`: resolves when the intake has ended and what has not started is given back. */
  endIntake(deadline: AbortSignal): Promise<void> {
    return (this.ending ??= this.giveBackUnstarted(deadline));
  }

  private async giveBackUnstarted(deadline: AbortSignal): Promise<void> {
    this.gate.stop();
    this.calls.stop();
    if (this.held) {
      this.held.suspend();
      for (const work of this.callStart.waiting) this.giveBacks.add(this.abandon(work));
      await this.drained(deadline);
      await this.copyBack(deadline);
    }
    // The broker must know before anything is released: what is released before would come right back.
    await until(this.intake.end(), deadline);
    this.intakeEnded = true;
    const unstarted = this.held?.works() ?? this.batches?.close() ?? [];
    for (const work of [...unstarted, ...this.callStart.waiting]) this.giveBacks.add(this.abandon(work));
    this.giveBacks.giveWaiting();
    await this.giveBacks.ended(deadline);
  }

  async unbind(): Promise<void> {
    const queues = queuesOf(this.environment.transport, 'nothing can be unbound');
    await queues.unbind(this.definition.topology);
  }

  private take(delivery: Delivery): void {
    this.intake.deliveries++;
    this.leases?.wake();
    if (this.intakeEnded) return this.giveBacks.give(delivery);
    let admitted = false;
    try {
      if (this.gate.open) admitted = this.schedule.admit(delivery);
      else this.schedule.wait(delivery);
    } catch (error) {
      // Nobody can say when the message may be handled.
      return this.settling.settle(this.workOf(delivery, false), Outcome.deadLetter('unrecoverable', error));
    }
    if (admitted) this.begin(delivery);
    else this.callStart.sweep();
  }

  /** Handlers that run past their timeout count, though their messages are settled; those that are held do not. */
  private get busy(): number {
    return this.running.size - (this.held?.size ?? this.batches?.gathered ?? 0) + this.overdue.slots;
  }

  private begin(delivery: Delivery): void {
    this.callStart.begin(this.workOf(delivery, true));
  }

  private workOf(delivery: Delivery, admitted: boolean): Work {
    const attempt = this.attempts.attemptOf(delivery);
    const context = new MessageContext(delivery, attempt, this.environment.clock);
    const startedAt = this.environment.clock.monotonic();
    const work: Work = { delivery, attempt, context, startedAt, closed: false, admitted, overdue: 0 };
    this.running.set(delivery, work);
    this.reports.delivered(work);
    return work;
  }

  private run(work: Work): void {
    if (this.gate.killSwitch && !this.batches) this.gate.began(work);
    const outcome = this.calls.run(work);
    if (outcome) this.ended(work, outcome);
  }

  /** A handler call has a result. */
  private ended(work: Work, outcome: Outcome): void {
    const { held } = this;
    this.callStart.ended(work, outcome);
    if (!this.batches) this.gate.killSwitch?.ended(work, outcome);
    if (!held || work.closed || (outcome.type !== 'retry' && outcome.type !== 'defer'))
      return this.settling.settle(work, outcome);
    if (held.hold(work, outcome.delayMs)) {
      this.callStart.left(work);
      this.settlement.failures.held(work, outcome);
      this.reports.settled(work, 'retry', outcome.error);
      work.attempt += outcome.type === 'retry' ? 1 : 0;
      if (work.overdue === 0) this.schedule.hold?.(work.delivery);
      this.next();
    } else this.settling.settle(work, withoutHold(outcome));
  }

  /** A held message is to be handled again, as soon as an earlier call of it that runs on has ended. */
  private due(work: Work): void {
    if (work.overdue > 0) return;
    this.schedule.ready?.(work.delivery);
    this.next();
  }

  private again(work: Work): void {
    this.held!.drop(work);
    work.context = new MessageContext(work.delivery, work.attempt, this.environment.clock);
    work.startedAt = this.environment.clock.monotonic();
    this.reports.delivered(work);
    this.run(work);
  }

  /** The delivery is settled, or no longer waited for. */
  private leave(work: Work): void {
    if (!this.running.delete(work.delivery)) return;
    this.callStart.left(work);
    if (work.admitted && work.overdue === 0) this.schedule.end(work.delivery);
    this.next();
  }

  /** Somebody may have his turn now. */
  private next(): void {
    // Whoever ends at once gets here within `begin`: the loop below goes on, instead of a recursion as deep as the backlog.
    if (this.advancing) return;
    this.advancing = true;
    while (this.gate.open) {
      const delivery = this.schedule.next();
      if (!delivery) break;
      const held = this.held && this.running.get(delivery);
      if (held) this.again(held);
      else this.begin(delivery);
    }
    this.advancing = false;
    this.batches?.advance();
    this.callStart.advance();
    if (this.busy === 0) for (const resolve of this.idle.splice(0)) resolve();
  }

  private lose(delivery: Delivery, lateMs?: number): void {
    this.attempts.excuse(delivery);
    if (this.schedule.withdraw(delivery)) return;
    const work = this.running.get(delivery);
    if (!work) return;
    const error = lostError(delivery);
    work.context.abort(error);
    const settling = work.closed;
    if (!settling) this.reports.settled(work, 'released', undefined);
    work.closed = true;
    this.gate.killSwitch?.lost(work);
    if (this.callStart.left(work)) this.leave(work);
    // What waits behind the message is lost in the same turn, and must not begin in between.
    else if (this.held?.drop(work)) queueMicrotask(() => this.leave(work));
    else if (this.batches?.withdraw(work, error)) this.leave(work);
    else if (!settling) this.callStart.lose(work, lateMs);
  }

  private readonly unsettled = (): Delivery[] => [...this.running.keys(), ...this.schedule.waiting];

  private async drained(deadline: AbortSignal): Promise<void> {
    if (this.busy > 0) await until(new Promise<void>((resolve) => this.idle.push(resolve)), deadline);
  }

  /** A message that came back so often that once more looks like a crash is given back as a copy, out of its order. */
  private async copyBack(deadline: AbortSignal): Promise<void> {
    for (const work of this.held!.works())
      if (this.settlement.mustCopyBack(work.delivery)) this.giveBacks.add(this.abandon(work));
    this.giveBacks.giveWaiting((delivery) => this.settlement.mustCopyBack(delivery));
    await this.giveBacks.ended(deadline);
  }

  /** The handler of the delivery runs past the deadline, or the delivery is held: a result no longer counts. */
  private async abandon(work: Work): Promise<void> {
    if (work.closed) return;
    work.closed = true;
    const { delivery, context, attempt } = work;
    const error = pastDeadlineError();
    if (!this.callStart.left(work) && !this.held?.drop(work) && !this.batches?.withdraw(work, error)) {
      context.abort(error);
      this.environment.log.warn(
        `«${this.queue}»: a handler ran past the shutdown deadline; ${nameOf(delivery.message)} is given back`,
      );
    }
    this.reports.settled(work, await this.settlement.giveBack(delivery, attempt, 0), undefined);
    this.leave(work);
  }
}
