import type { CancelTimer, Clock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import type { CoordinationStore } from '../../coordination/coordination-store.js';
import { endPermit, permit, PERMIT_MS, type Permit, renewPermit } from '../../coordination/limit-state.js';
import { StoreOutage } from '../../coordination/store-outage.js';
import { DeliveryLostError } from '../../errors/handling-errors.js';
import { textResult } from '../../errors/result-checks.js';
import type { Log } from '../../events/log.js';
import type { MessagingEvents } from '../../events/messaging-events.js';
import { header } from '../../message/headers.js';
import { newMessageId } from '../../message/message-id.js';
import { nameOf } from '../../message/message-name.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import type { Handler } from '../../pipeline/middleware.js';
import { Outcome } from '../../pipeline/outcome.js';
import type { LimitDefinition } from '../subscription/limit-options.js';

export interface LimitedHandlingEnvironment {
  readonly store: CoordinationStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: MessagingEvents;
}

interface HeldPermit {
  readonly key: string;
  readonly token: string;
  readonly context: MessageContext;
  readonly beganAt: number;
  renewal?: Promise<void>;
  /** The handler, which runs on past its timeout. */
  overdue?: Promise<unknown>;
}

/** While the store does not answer, messages are put off by so much: a limit that nobody keeps would be none. */
const STORE_DOWN_MS = 5_000;
/** So long a message waits here for its turn. Where others have limits of their own it soon makes room for them. */
const WAIT_MS = 30_000;
const KEYED_WAIT_MS = 250;
/** A permit may become free earlier than was told. */
const LOOK_MS = 1_000;

/** Around a handler: called when all processes together are within the limit. Until then its message spends no attempt. */
export class LimitedHandling {
  private readonly stopping = new AbortController();
  private readonly held = new Set<HeldPermit>();
  private cancelTimer: CancelTimer | undefined;
  private readonly outage: StoreOutage;

  constructor(
    /** What the limit belongs to, and what it is called. */
    private readonly scope: string,
    private readonly limit: LimitDefinition,
    private readonly environment: LimitedHandlingEnvironment,
  ) {
    this.outage = new StoreOutage({
      ...environment,
      operation: 'limit',
      failing: (reason) => `«${scope}»: messages wait, for the limit cannot be asked: ${reason}`,
      again: `«${scope}»: the limit is kept again`,
    });
  }

  around(handler: Handler): Handler {
    return (context) => this.handle(context, handler);
  }

  /** What waits here for its turn goes back. */
  stop(): void {
    this.stopping.abort();
  }

  private async handle(context: MessageContext, handler: Handler): Promise<unknown> {
    const { key: keyOf } = this.limit;
    const own = keyOf ? textResult('«limit.key»', keyOf(context)) : '';
    if (own === undefined) return handler(context);
    const { clock } = this.environment;
    const key = `limit:${this.scope}:${own}`;
    const token = newMessageId(clock.now());
    const refused = await this.turn(key, token, context);
    if (refused) return refused;
    if (this.over(context)) {
      if (this.limit.concurrency !== undefined) await this.giveBack(key, token, 0);
      return Outcome.giveBack;
    }
    if (this.limit.concurrency === undefined) return handler(context);
    return this.holding({ key, token, context, beganAt: clock.monotonic() }, handler);
  }

  /** No handler is to be called with it any more. */
  private over({ aborted }: MessageContext): boolean {
    return this.stopping.signal.aborted || aborted !== undefined;
  }

  /** Undefined: its turn has come. */
  private async turn(key: string, token: string, context: MessageContext): Promise<Outcome | undefined> {
    const { store, clock } = this.environment;
    const mostMs = this.limit.key ? KEYED_WAIT_MS : WAIT_MS;
    const until = clock.monotonic() + mostMs;
    // What was put off here comes with its time.
    let waited = context.delivery.message.headers[header.notBefore] !== undefined;
    let dueAt = 0;
    let told = waited;
    for (;;) {
      const early = clock.monotonic() < dueAt;
      let answer: Permit;
      try {
        answer = await store.change(key, permit(this.limit, token, waited, early));
      } catch (error) {
        this.outage.failed(error);
        return Outcome.defer(STORE_DOWN_MS);
      }
      this.outage.over();
      if (!answer) return undefined;
      if (!told) this.waits(context);
      told = true;
      if (this.over(context)) return Outcome.giveBack;
      const now = clock.monotonic();
      if (!early) dueAt = now + answer.waitMs;
      if (this.limit.key && dueAt > until) return Outcome.defer(dueAt - now);
      const lookAt = this.limit.concurrency === undefined ? dueAt : Math.min(dueAt, now + LOOK_MS);
      await sleep(
        clock,
        Math.max(0, Math.min(lookAt, until) - now),
        AbortSignal.any([this.stopping.signal, context.signal]),
      );
      if (this.over(context)) return Outcome.giveBack;
      const leftMs = dueAt - clock.monotonic();
      if (leftMs > 0 && clock.monotonic() >= until) return Outcome.defer(leftMs);
      waited = true;
    }
  }

  private waits({ delivery }: MessageContext): void {
    const { events } = this.environment;
    if (events.has('limited')) events.emit('limited', { id: delivery.message.id, queue: delivery.queue });
  }

  private async holding(permitted: HeldPermit, handler: Handler): Promise<unknown> {
    this.held.add(permitted);
    this.cancelTimer ??= this.renewLater();
    try {
      return await handler(permitted.context);
    } finally {
      const end = (): Promise<void> => this.end(permitted);
      if (permitted.overdue) void permitted.overdue.then(end, end);
      else await end();
    }
  }

  /** A handler runs on past its timeout, and has its permit for as long. */
  overdue(running: Promise<unknown>, context: MessageContext): void {
    for (const one of this.held) if (one.context === context) one.overdue = running;
  }

  private async end(permitted: HeldPermit): Promise<void> {
    this.held.delete(permitted);
    if (this.held.size === 0) {
      this.cancelTimer?.();
      this.cancelTimer = undefined;
    }
    const { key, token, beganAt, renewal } = permitted;
    // One that comes after the end would take the permit back.
    await renewal;
    await this.giveBack(key, token, this.environment.clock.monotonic() - beganAt);
  }

  /** What cannot be given back is free when it is over. */
  private async giveBack(key: string, token: string, tookMs: number): Promise<void> {
    await this.environment.store
      .change(key, endPermit(this.limit, token, tookMs))
      .catch((error: unknown) => this.outage.failed(error));
  }

  private renewLater(): CancelTimer {
    return this.environment.clock.after(PERMIT_MS / 3, () => this.renew(), { background: true });
  }

  private renew(): void {
    for (const one of this.held) {
      one.renewal = this.environment.store.change(one.key, renewPermit(this.limit, one.token)).then(
        (kept) => {
          if (!kept && this.held.delete(one)) this.lost(one);
        },
        (error: unknown) => this.outage.failed(error),
      );
    }
    this.cancelTimer = this.renewLater();
  }

  private lost({ context }: HeldPermit): void {
    const text = `«${this.scope}»: the permit of ${nameOf(context.delivery.message)} was over before its handler was`;
    this.environment.log.warn(`${text}; another may run beside it`);
    context.abort(new DeliveryLostError(text));
  }
}
