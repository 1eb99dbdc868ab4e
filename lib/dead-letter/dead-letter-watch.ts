import type { CancelTimer, Clock } from '../clock/clock.js';
import { errorMessage } from '../errors/redact.js';
import { NotConnectedError } from '../errors/publish-errors.js';
import type { DeadLetterAlert } from '../events/dead-letter-alert.js';
import type { Log } from '../events/log.js';
import type { DeadLetter } from './dead-letter.js';
import { type AlertsOptions, DeadLetterAlerts } from './dead-letter-alerts.js';
import type { DeadLetterLimits, DeadLetterPlace, ExpiryCause, PlaceSample } from './dead-letter-place.js';

/** A dead letter that was deleted because it was too old, or one too many. */
export interface ExpiredDeadLetter {
  readonly place: string;
  readonly cause: ExpiryCause;
  readonly deadLetter: DeadLetter;
}

export interface WatchParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: DeadLetterLimits;
  readonly alerts: AlertsOptions | undefined;
  readonly interval: number;
  readonly places: () => Iterable<DeadLetterPlace>;
  readonly expired: (expired: ExpiredDeadLetter) => void;
  readonly alerted: (alert: DeadLetterAlert) => void;
  /** A place could not be read, or nothing deleted from it. */
  readonly failed: (error: unknown) => void;
}

/** What health says of limits and alerts. */
export interface DeadLetterWatchReport {
  /** The limits, and how many this process has deleted by them since its start. */
  readonly expiry?: DeadLetterLimits & { readonly expired: Readonly<Record<ExpiryCause, number>> };
  /** The alerts that stand, in words. */
  readonly alerts?: readonly string[];
}

/** So soon after a dead letter was written. */
const SOON_MS = 1_000;

/** Looks after all places of dead letters: deletes what is too old or too many, and says when there is reason to. */
export class DeadLetterWatch {
  private readonly alerts: DeadLetterAlerts | undefined;
  private readonly expired = { maxAge: 0, maxCount: 0 };
  /** The last count of each place: one that cannot be asked is as it was. */
  private readonly samples = new Map<string, PlaceSample>();
  private readonly failing = new Set<string>();
  private readonly interval: number;
  private cancelTimer: CancelTimer | undefined;
  private running: Promise<void> | undefined;
  private stopped = true;
  private hurried = false;

  constructor(private readonly parts: WatchParts) {
    const { limits, alerts, log } = parts;
    this.alerts = alerts && new DeadLetterAlerts(alerts, log, parts.alerted);
    const times = [limits.maxAge, alerts?.oldest, alerts?.deadLetters?.within].filter((one) => one !== undefined);
    this.interval = Math.min(parts.interval, Math.max(SOON_MS, Math.min(...times) / 2));
  }

  /** Undefined where there is nothing to be done. */
  static of(parts: WatchParts): DeadLetterWatch | undefined {
    return parts.alerts || Object.keys(parts.limits).length > 0 ? new DeadLetterWatch(parts) : undefined;
  }

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.plan(0);
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelTimer?.();
    await this.running;
  }

  /** A dead letter was written. */
  soon(): void {
    if (this.stopped || this.hurried) return;
    this.hurried = true;
    // A pass under way plans the next one.
    if (!this.running) this.plan(SOON_MS);
  }

  get isAlerted(): boolean {
    return this.alerts !== undefined && this.alerts.report().length > 0;
  }

  report(): DeadLetterWatchReport {
    const { limits } = this.parts;
    return {
      ...(Object.keys(limits).length > 0 && { expiry: { ...limits, expired: { ...this.expired } } }),
      ...(this.alerts && { alerts: this.alerts.report() }),
    };
  }

  private plan(delayMs: number): void {
    this.cancelTimer?.();
    this.cancelTimer = this.parts.clock.after(delayMs, () => this.run(), { background: true });
  }

  private run(): void {
    this.hurried = false;
    this.running ??= this.pass().finally(() => {
      this.running = undefined;
      if (!this.stopped) this.plan(this.hurried ? SOON_MS : this.interval);
    });
  }

  private async pass(): Promise<void> {
    const { clock, places } = this.parts;
    const seen = new Set<string>();
    for (const place of places()) {
      seen.add(place.name);
      if (this.stopped) return;
      try {
        await this.expire(place);
        if (this.alerts) await this.sample(place);
        this.failing.delete(place.name);
      } catch (error) {
        this.fail(place, error);
      }
    }
    for (const name of this.samples.keys()) if (!seen.has(name)) this.samples.delete(name);
    this.alerts?.observe([...this.samples.values()], clock.now(), clock.monotonic());
  }

  private async expire(place: DeadLetterPlace): Promise<void> {
    const { limits, clock, log } = this.parts;
    const { maxAge, maxCount = Infinity } = limits;
    if (maxAge === undefined && maxCount === Infinity) return;
    const deleted = { maxAge: 0, maxCount: 0 };
    try {
      await place.expire({
        before: maxAge === undefined ? -Infinity : clock.now() - maxAge,
        maxCount,
        deleted: (deadLetter, cause) => {
          deleted[cause]++;
          this.expired[cause]++;
          this.parts.expired({ place: place.name, cause, deadLetter });
        },
        isStopped: () => this.stopped,
      });
    } finally {
      if (deleted.maxAge > 0)
        log.warn(`${deleted.maxAge} dead letters in ${place.name} were deleted: older than maxAge, ${maxAge} ms`);
      if (deleted.maxCount > 0)
        log.warn(`${deleted.maxCount} dead letters in ${place.name} were deleted: more than maxCount, ${maxCount}`);
    }
  }

  private async sample(place: DeadLetterPlace): Promise<void> {
    const { alerts, clock } = this.parts;
    const count = (await place.count()) ?? 0;
    const oldest = alerts?.oldest === undefined ? undefined : await place.oldest(clock.now() - alerts.oldest);
    this.samples.set(place.name, { place: place.name, count, oldest });
  }

  /** That there is no connection is told elsewhere. */
  private fail({ name }: DeadLetterPlace, error: unknown): void {
    if (error instanceof NotConnectedError) return;
    if (!this.failing.has(name))
      this.parts.log.error(
        `Dead letters in ${name} could not be looked through, it is tried again: ${errorMessage(error)}`,
      );
    this.failing.add(name);
    this.parts.failed(error);
  }
}
