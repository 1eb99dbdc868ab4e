import { DeliveryLostError } from '../errors/handling-errors.js';
import { errorMessage } from '../errors/redact.js';
import type { Serializer } from '../message/serializer.js';
import { MessageContext } from '../pipeline/message-context.js';
import { compose, type Handler } from '../pipeline/middleware.js';
import type { Outcome } from '../pipeline/outcome.js';
import { withTimeout } from '../pipeline/timeout.js';
import type { Delivery } from '../transport/delivery.js';
import type { TransportSubscription } from '../transport/transport.js';
import type { AttemptCount } from './attempt-count.js';
import { CopyAttempts } from './copy-attempts.js';
import { HandlerCall } from './handler-call.js';
import { OverdueHandlers } from './overdue-handlers.js';
import { Precheck } from './precheck.js';
import { RedeliveryAttempts } from './redelivery-attempts.js';
import { until } from './until.js';
import { Settlement, type Settled, type SettlementEnvironment } from './settlement.js';
import type { SubscriptionDefinition } from './subscription-definition.js';

export interface ConsumerEnvironment extends SettlementEnvironment {
  readonly serializer: Serializer;
}

/** How long what is given back at the deadline may take, where the broker has to take a copy first. */
const GIVE_BACK_WITHIN_MS = 500;

export type ConsumerState = 'consuming' | 'paused' | 'stopped' | 'waiting';

/** One delivery on its way through this process. */
interface Work {
  readonly delivery: Delivery;
  readonly attempt: number;
  readonly context: MessageContext;
  readonly startedAt: number;
  /** A result is no longer wanted: the delivery was lost or given back, or its settlement is under way. */
  closed: boolean;
}

/** One subscription at work: intake → pipeline → settlement → drain. */
export class Consumer {
  private readonly attempts: AttemptCount;
  private readonly precheck: Precheck;
  private readonly settlement: Settlement;
  private readonly call: HandlerCall<Work>;
  private readonly overdue: OverdueHandlers;
  private readonly running = new Map<Delivery, Work>();
  private readonly backlog = new Set<Delivery>();
  private readonly settling = new Set<Promise<unknown>>();
  private subscription: TransportSubscription | undefined;
  private waitingFor: string | undefined = 'starting';
  private stopping = false;
  private intakeEnded = false;
  private paused = false;
  private advancing = false;
  private idle: (() => void)[] = [];

  constructor(
    readonly definition: SubscriptionDefinition,
    handler: Handler,
    private readonly environment: ConsumerEnvironment,
  ) {
    const { retry, prefetch, topology, timeoutMs, middleware } = definition;
    const { transport, clock, log } = environment;
    const { capabilities } = transport;
    const remembered = Math.max(1_000, prefetch * 4);
    this.attempts =
      capabilities.retry === 'redelivery'
        ? new RedeliveryAttempts(retry.attempts, remembered)
        : new CopyAttempts(remembered);
    this.precheck = new Precheck(this.attempts, clock, definition.delayMs, capabilities.maxDelayMs);
    this.settlement = new Settlement(topology, this.attempts, environment);
    this.overdue = new OverdueHandlers(timeoutMs ?? 0, clock, {
      slotFree: () => this.next(),
      graceOver: () =>
        log.warn(`«${this.queue}»: a handler runs on long after its timeout; another may start beside it now`),
    });
    const composed = compose(middleware, handler);
    const limited =
      timeoutMs === undefined
        ? composed
        : withTimeout(composed, timeoutMs, clock, (running) => this.overdue.add(running));
    this.call = new HandlerCall(limited, retry, environment, (work, outcome) => this.settle(work, outcome));
  }

  get queue(): string {
    return this.definition.topology.queue;
  }

  get state(): ConsumerState {
    if (this.stopping) return 'stopped';
    if (this.paused) return 'paused';
    return this.waitingFor === undefined ? 'consuming' : 'waiting';
  }

  /** Why it does not consume, while it is `waiting`; else what is wrong with its handlers. */
  get reason(): string | undefined {
    return this.state === 'waiting' ? this.waitingFor : this.overdue.report();
  }

  /** Messages in this process that are not settled yet. */
  get inFlight(): number {
    return this.running.size + this.backlog.size;
  }

  /** Declares the topology and begins to consume. @throws TopologyMismatchError and what else waiting cannot cure */
  async start(): Promise<void> {
    const { transport } = this.environment;
    const { topology, prefetch } = this.definition;
    await transport.declare(topology);
    this.subscription = await transport.subscribe(
      { topology, prefetch },
      {
        delivery: (delivery) => this.take(delivery),
        lost: (delivery) => this.lose(delivery),
        state: (consuming, reason) => this.onState(consuming, reason),
      },
    );
    if (this.paused) this.subscription.pause();
    if (this.stopping) await this.endIntake();
  }

  /** Starts no handler until `resume`; running ones finish, and what has come already waits here. */
  pause(): void {
    if (this.paused || this.stopping) return;
    this.paused = true;
    this.subscription?.pause();
    this.tellStopped('paused');
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    if (this.stopping) return;
    this.subscription?.resume();
    this.next();
  }

  /**
   * Stops the intake at once, gives back what has not started, and waits for running handlers until `deadline` is
   * aborted; what runs on then is given back as well. Calling it again waits for the same end.
   */
  async stop(deadline: AbortSignal): Promise<void> {
    this.stopping = true;
    // The broker must know first: what is given back before would come right back.
    await until(this.endIntake(), deadline);
    this.intakeEnded = true;
    for (const delivery of this.backlog) this.track(this.giveBack(delivery));
    this.backlog.clear();
    await this.drained(deadline);
    for (const work of this.running.values()) this.track(this.abandon(work));
    await this.givenBack();
  }

  async unbind(): Promise<void> {
    await this.environment.transport.unbind(this.definition.topology);
  }

  private take(delivery: Delivery): void {
    if (this.intakeEnded) this.track(this.giveBack(delivery));
    else if (this.mayNotBegin) this.backlog.add(delivery);
    else this.begin(delivery);
  }

  /** Handlers that run past their timeout count, though their messages are settled. */
  private get busy(): number {
    return this.running.size + this.overdue.slots;
  }

  private get mayNotBegin(): boolean {
    return this.stopping || this.paused || this.busy >= this.definition.concurrency.limit;
  }

  private begin(delivery: Delivery): void {
    const { clock, events } = this.environment;
    const attempt = this.attempts.attemptOf(delivery);
    const context = new MessageContext(delivery, attempt);
    const work: Work = { delivery, attempt, context, startedAt: clock.monotonic(), closed: false };
    this.running.set(delivery, work);
    if (events.has('delivered')) events.emit('delivered', { delivery, attempt });
    const outcome = this.precheck.outcomeOf(delivery, attempt) ?? this.call.run(work);
    if (outcome) this.settle(work, outcome);
  }

  private settle(work: Work, outcome: Outcome): void {
    if (work.closed) return this.leave(work);
    work.closed = true;
    try {
      const settled = this.settlement.settle(work.delivery, work.attempt, outcome);
      if (typeof settled === 'string') return this.settled(work, settled, outcome.error);
      settled
        .then((late) => this.settled(work, late, outcome.error))
        .catch((error: unknown) => this.onDefect(work, error));
    } catch (error) {
      this.onDefect(work, error);
    }
  }

  private settled(work: Work, settled: Settled, error: unknown): void {
    this.report(work, settled, error);
    this.leave(work);
  }

  /** The message stays unsettled and comes back with the connection, but its slot is free. */
  private onDefect(work: Work, error: unknown): void {
    this.environment.log.error(
      `«${this.queue}»: message ${work.delivery.message.id} could not be settled: ${errorMessage(error)}`,
    );
    this.leave(work);
  }

  private report({ delivery, attempt, startedAt }: Work, outcome: Settled, error: unknown): void {
    const { events, clock } = this.environment;
    if (!events.has('settled')) return;
    const durationMs = clock.monotonic() - startedAt;
    events.emit('settled', { delivery, attempt, outcome, durationMs, ...(error !== undefined && { error }) });
  }

  /** Its handler has ended, or is no longer waited for. */
  private leave(work: Work): void {
    if (this.running.delete(work.delivery)) this.next();
  }

  /** A slot is free. */
  private next(): void {
    // Whoever ends at once gets here within `begin`: the loop below goes on, instead of a recursion as deep as the backlog.
    if (this.advancing) return;
    this.advancing = true;
    for (const delivery of this.backlog) {
      if (this.mayNotBegin) break;
      this.backlog.delete(delivery);
      this.begin(delivery);
    }
    this.advancing = false;
    if (this.busy === 0) for (const resolve of this.idle.splice(0)) resolve();
  }

  private lose(delivery: Delivery): void {
    this.attempts.excuse(delivery);
    if (this.backlog.delete(delivery)) return;
    const work = this.running.get(delivery);
    if (!work) return;
    if (!work.closed) this.report(work, 'released', undefined);
    work.closed = true;
    work.context.abort(
      new DeliveryLostError(
        `The connection that delivered message ${delivery.message.id} is gone; the broker delivers it again`,
      ),
    );
  }

  private onState(consuming: boolean, reason = 'no connection'): void {
    this.waitingFor = consuming ? undefined : reason;
    if (!consuming && !this.stopping && !this.paused) this.tellStopped(reason);
  }

  private tellStopped(reason: string): void {
    const { events } = this.environment;
    if (events.has('consumer-stopped')) events.emit('consumer-stopped', { queue: this.queue, reason });
  }

  private async drained(deadline: AbortSignal): Promise<void> {
    if (this.busy > 0) await until(new Promise<void>((resolve) => this.idle.push(resolve)), deadline);
  }

  private async endIntake(): Promise<void> {
    try {
      await this.subscription?.stop();
    } catch (error) {
      this.environment.log.error(`«${this.queue}»: the intake could not be ended: ${errorMessage(error)}`);
    }
  }

  /** What is not given back by then comes back with the connection. */
  private async givenBack(): Promise<void> {
    if (this.settling.size === 0) return;
    const late = new AbortController();
    const cancel = this.environment.clock.after(GIVE_BACK_WITHIN_MS, () => late.abort());
    await until(Promise.all(this.settling), late.signal);
    cancel();
  }

  /** The handler runs past the deadline: its result no longer counts. */
  private async abandon(work: Work): Promise<void> {
    if (work.closed) return;
    work.closed = true;
    const { delivery, context, attempt } = work;
    context.abort(new DeliveryLostError('The application stops and the handler ran past its deadline'));
    this.environment.log.warn(
      `«${this.queue}»: a handler ran past the shutdown deadline; message ${delivery.message.id} is given back`,
    );
    this.report(work, await this.settlement.giveBack(delivery, attempt, 0), undefined);
    this.leave(work);
  }

  private giveBack(delivery: Delivery): Promise<Settled> {
    return this.settlement.giveBack(delivery, this.attempts.attemptOf(delivery), this.precheck.waitOf(delivery));
  }

  private track(promise: Promise<unknown>): void {
    const ended = promise
      .catch((error: unknown) =>
        this.environment.log.error(`«${this.queue}»: a message could not be given back: ${errorMessage(error)}`),
      )
      .finally(() => this.settling.delete(ended));
    this.settling.add(ended);
  }
}
