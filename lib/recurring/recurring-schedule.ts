import type { CancelTimer, Clock } from '../clock/clock.js';
import { answered } from '../clock/answered.js';
import type { CoordinationStore } from '../coordination/coordination-store.js';
import { StoreOutage } from '../coordination/store-outage.js';
import { CoordinationStoreError } from '../errors/coordination-errors.js';
import { errorMessage } from '../errors/redact.js';
import { thrownValue } from '../errors/thrown-value.js';
import type { Log } from '../events/log.js';
import type { MessagingEventMap, MessagingEvents } from '../events/messaging-events.js';
import { newMessageId } from '../message/message-id.js';
import type { RecurringFire } from './recurring-options.js';
import { begin, end, LEASE_MS, type Recurrence, renew, take } from './recurring-state.js';

/** One `@Recurring`, as this process has it. */
export interface RecurringDefinition extends Recurrence {
  readonly service: string;
  readonly name: string;
  /** Who makes its messages, in words: `Reports.nightly`. */
  readonly place: string;
  /** The body for a time. It may throw, and is asked again then. */
  make(fire: RecurringFire): unknown;
  /** Resolves when the broker has confirmed the message. */
  send(fire: RecurringFire, body: unknown): Promise<void>;
}

export interface RecurringEnvironment {
  readonly store: CoordinationStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: MessagingEvents;
}

/** After a failure, in milliseconds, twice as long each time. */
const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** So long a body is waited for. */
const MOST_MAKING_MS = 600_000;

/**
 * Publishes at the times of one expression those that this process takes. A time is taken for a while first, published under
 * an id of its own and recorded as done last: whoever is killed in between leaves it to another, who sends the same id.
 */
export class RecurringSchedule {
  private readonly key: string;
  private readonly outage: StoreOutage;
  private cancelTimer: CancelTimer | undefined;
  private turn: Promise<void> = Promise.resolve();
  private begun = false;
  /** The last look has found a time, so that what is still missed was counted. */
  private counted = false;
  private stopped = false;
  private failures = 0;

  constructor(
    private readonly definition: RecurringDefinition,
    private readonly environment: RecurringEnvironment,
  ) {
    this.key = `recurring:${definition.service}:${definition.name}`;
    const failing = (reason: string): string => `${this.title} waits for its coordination store: ${reason}`;
    this.outage = new StoreOutage({ ...environment, operation: 'recurring', failing });
  }

  start(): void {
    this.wake(0);
  }

  /** No time is taken any more; resolves when the one that is being published is over. */
  stop(): Promise<void> {
    this.stopped = true;
    this.cancelTimer?.();
    return this.turn;
  }

  private wake(waitMs: number): void {
    if (this.stopped) return;
    const turn = (): void => void (this.turn = this.next().then((wait) => this.wake(wait)));
    this.cancelTimer = this.environment.clock.after(waitMs, turn, { background: true });
  }

  /** Resolves with the time until the next look; it never rejects. */
  private async next(): Promise<number> {
    const { store, log } = this.environment;
    const token = newMessageId(this.environment.clock.now());
    try {
      if (!this.begun) this.tell(await store.change(this.key, begin(this.definition)));
      this.begun = true;
      const turn = await store.change(this.key, take(token, this.definition, this.counted));
      this.counted = 'at' in turn;
      this.tell(turn.note);
      if (turn.outcome) this.emit(turn.outcome, 'at' in turn ? turn.at : undefined);
      if ('waitMs' in turn) {
        if (this.failures > 0) log.log(`${this.title} goes on`);
        this.failures = 0;
        this.outage.over();
        return turn.waitMs;
      }
      await this.publish(turn.at, token);
      this.failures = 0;
      this.outage.over();
      return 0;
    } catch (thrown) {
      return this.failed(thrownValue(thrown));
    }
  }

  private async publish(at: number, token: string): Promise<void> {
    const { store, log } = this.environment;
    const { service, name } = this.definition;
    const time = new Date(at);
    const fire: RecurringFire = { name, at: time, id: `${service}:${name}:${time.toISOString()}` };
    const stopRenewing = this.renewing(token);
    let confirmed = false;
    try {
      const body = await this.made(fire);
      if (!(await store.change(this.key, renew(token)))) {
        log.warn(
          `${this.title}: ${fire.id} took longer than ${LEASE_MS} ms to be made, and another process has it now`,
        );
        return;
      }
      await this.definition.send(fire, body);
      confirmed = true;
    } finally {
      stopRenewing();
      await this.ended(token, confirmed);
      this.emit(confirmed ? 'published' : 'failed', at);
    }
  }

  /** The body. One that comes too late is dropped: the time is free for another try by then. */
  private async made(fire: RecurringFire): Promise<unknown> {
    const { clock, log } = this.environment;
    const { place } = this.definition;
    const slow = (): void =>
      log.warn(
        `${this.title}: ${place} has not answered for ${LEASE_MS} ms, and no other process takes ${fire.id} meanwhile`,
      );
    const cancel = clock.after(LEASE_MS, slow, { background: true });
    try {
      return await answered(Promise.resolve(this.definition.make(fire)), { clock, ms: MOST_MAKING_MS });
    } finally {
      cancel();
    }
  }

  /** What cannot be recorded is published again, under the same id, by whoever takes it next. */
  private async ended(token: string, confirmed: boolean): Promise<void> {
    try {
      await this.environment.store.change(this.key, end(token, confirmed));
    } catch (error) {
      this.outage.failed(error);
    }
  }

  private renewing(token: string): CancelTimer {
    const { store, clock } = this.environment;
    let cancel: CancelTimer;
    const arm = (): void => {
      cancel = clock.after(
        LEASE_MS / 3,
        () => {
          arm();
          store.change(this.key, renew(token)).catch((error: unknown) => this.outage.failed(error));
        },
        { background: true },
      );
    };
    arm();
    return () => cancel();
  }

  /** The time until the next try. */
  private failed(error: unknown): number {
    const { log } = this.environment;
    const waitMs = Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** Math.min(this.failures++, 10));
    if (error instanceof CoordinationStoreError) this.outage.failed(error);
    else
      log.error(
        `${this.title} (${this.definition.place}) failed, and is tried again in ${waitMs} ms: ${errorMessage(error)}`,
      );
    return waitMs;
  }

  private emit(outcome: MessagingEventMap['recurring']['outcome'], at?: number): void {
    const { events } = this.environment;
    const { name } = this.definition;
    if (events.has('recurring')) events.emit('recurring', { name, outcome, ...(at !== undefined && { at }) });
  }

  private tell(note: string | undefined): void {
    if (note !== undefined) this.environment.log.warn(`${this.title}: ${note}`);
  }

  private get title(): string {
    return `Recurring «${this.definition.name}»`;
  }
}
