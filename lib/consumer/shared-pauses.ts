import type { CancelTimer, Clock } from '../clock/clock.js';
import type { Coordination } from '../coordination/coordination.js';
import type { Change } from '../coordination/coordination-store.js';
import { StoreOutage } from '../coordination/store-outage.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { QueueConsumer } from './queue-consumer.js';

export interface SharedPausesEnvironment {
  readonly service: string;
  readonly coordination: Coordination;
  readonly consumers: Iterable<QueueConsumer>;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: MessagingEvents;
}

/** Until when each subscription is paused, by its name; milliseconds since the epoch, of the store's clock. */
type Pauses = Readonly<Record<string, number>>;

const LOOK_MS = 5_000;
/** A pause that is not renewed ends by itself: nobody may remember it. */
const PAUSE_MS = 86_400_000;

/** Subscriptions that are paused in all processes of the service, those that start later included. */
export class SharedPauses {
  private pauses: Pauses = {};
  /** Names that this process has paused for itself. */
  private readonly own = new Set<string>();
  private cancelTimer: CancelTimer | undefined;
  private started = false;
  private stopped = false;
  private readonly outage: StoreOutage;

  constructor(private readonly environment: SharedPausesEnvironment) {
    this.outage = new StoreOutage({
      ...environment,
      operation: 'pause',
      failing: (reason) => `What is paused in all processes is not known now, and stays as it was: ${reason}`,
      again: 'What is paused in all processes is known again',
    });
  }

  /** Pauses what is paused elsewhere, and goes on looking. Where the store does not answer nothing is paused. It never rejects. */
  async start(): Promise<void> {
    if (!this.environment.coordination.configured) return;
    // In one process nobody else pauses.
    if (this.environment.coordination.shared) await this.look();
    this.started = true;
    this.arm();
  }

  stop(): void {
    this.stopped = true;
    this.cancelTimer?.();
  }

  /** Resolves when it is written; others follow within 5 s. Again: for a day from now. Rejects without a store, or where that fails. */
  async pause(name: string): Promise<Date> {
    const until = await this.change((pauses, now) => ({ ...pauses, [name]: now + PAUSE_MS }));
    return new Date(until[name]);
  }

  async resume(name: string): Promise<void> {
    await this.change(({ [name]: _, ...others }) => others);
  }

  /** This process pauses or goes on by itself. @throws InvalidOptionError where all are paused */
  paused(name: string, paused: boolean): void {
    if (paused) this.own.add(name);
    else if (this.pauses[name] !== undefined)
      throw new InvalidOptionError('name', name, `resumeEverywhere('${name}'): it is ${this.reasonOf(name)!}`);
    else this.own.delete(name);
  }

  /** A later subscription of the name is not paused by its process. */
  ended(name: string): void {
    this.own.delete(name);
  }

  /** Why a subscription does not consume, where that is since all are paused. */
  reasonOf(name: string): string | undefined {
    const until = this.pauses[name];
    return until === undefined ? undefined : `paused in all processes until ${new Date(until).toISOString()}`;
  }

  private async change(make: (pauses: Pauses, now: number) => Pauses): Promise<Pauses> {
    const store = this.environment.coordination.store('pauseEverywhere');
    const change: Change<Pauses> = (text, now) => {
      const pauses = make(current(text, now), now);
      const ends = Math.max(now + 1, ...Object.values(pauses));
      return { result: pauses, state: JSON.stringify(pauses), keepMs: ends - now };
    };
    const pauses = await store.change(this.key, change);
    this.follow(pauses);
    this.arm();
    return pauses;
  }

  private async look(): Promise<void> {
    const { coordination } = this.environment;
    try {
      const read: Change<Pauses> = (text, now) => ({ result: current(text, now) });
      const pauses = await coordination.store('pauseEverywhere').change(this.key, read);
      this.outage.over();
      this.follow(pauses);
    } catch (error) {
      this.outage.failed(error);
    }
  }

  /** Also those that were added since. */
  private follow(pauses: Pauses): void {
    const { consumers, log } = this.environment;
    const before = this.pauses;
    this.pauses = pauses;
    for (const consumer of consumers) {
      const { name } = consumer.definition;
      if (pauses[name] !== undefined) consumer.pause();
      else if (before[name] !== undefined && !this.own.has(name)) consumer.resume();
    }
    for (const name of Object.keys(pauses))
      if (before[name] !== pauses[name]) log.warn(`«${name}» is ${this.reasonOf(name)!}`);
    for (const name of Object.keys(before))
      if (pauses[name] === undefined) log.log(`«${name}» is not paused in all processes any more`);
  }

  private arm(): void {
    this.cancelTimer?.();
    const { coordination, clock } = this.environment;
    if (!this.started || this.stopped || (!coordination.shared && Object.keys(this.pauses).length === 0)) return;
    this.cancelTimer = clock.after(LOOK_MS, () => void this.look().then(() => this.arm()), { background: true });
  }

  private get key(): string {
    return `paused:${this.environment.service}`;
  }
}

function current(text: string | undefined, now: number): Pauses {
  const pauses = text === undefined ? {} : (JSON.parse(text) as Pauses);
  return Object.fromEntries(Object.entries(pauses).filter(([, until]) => until > now));
}
