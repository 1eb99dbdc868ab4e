import { errorMessage } from '../errors/redact.js';
import type { DeadLetterAlert } from '../events/dead-letter-alert.js';
import type { Log } from '../events/log.js';

/** When somebody is to be told of dead letters, in all places that this process knows together. */
export interface AlertsOptions {
  /** More than `above` have come within so many milliseconds; without `within`: are there. */
  readonly deadLetters?: { readonly above: number; readonly within?: number };
  /** One was given up more than so many milliseconds ago, and is still there. */
  readonly oldest?: number;
  /** Called when an alert is raised, and when it is cleared. What it throws is logged. */
  readonly onAlert?: (alert: DeadLetterAlert) => unknown;
}

/** What was seen in a place. */
export interface PlaceSample {
  readonly place: string;
  readonly count: number;
  /** When the oldest was given up, where that is too long ago. */
  readonly oldest?: number;
}

type Kind = DeadLetterAlert['kind'];

/** A window is kept in so many steps. */
const STEPS = 100;

/** Decides when an alert is raised and cleared. */
export class DeadLetterAlerts {
  private readonly raised = new Map<Kind, DeadLetterAlert>();
  /** Totals at the times at which they were taken; of a step the lowest. */
  private readonly totals: { readonly at: number; total: number }[] = [];
  private readonly known = new Set<string>();

  constructor(
    readonly options: AlertsOptions,
    private readonly log: Log,
    private readonly tell: (alert: DeadLetterAlert) => void,
  ) {}

  /** The alerts that stand, in words. */
  report(): string[] {
    return [...this.raised.values()].map(({ message }) => message);
  }

  /** `now` is wall-clock time, `at` that of durations. */
  observe(samples: readonly PlaceSample[], now: number, at: number): void {
    const count = samples.reduce((sum, sample) => sum + sample.count, 0);
    const places = samples.filter((sample) => sample.count > 0).map(({ place, count }) => ({ place, count }));
    this.observeCount(samples, { count, places }, at);
    this.observeOldest(samples, { count, places }, now);
  }

  private observeCount(
    samples: readonly PlaceSample[],
    seen: Pick<DeadLetterAlert, 'count' | 'places'>,
    at: number,
  ): void {
    const { deadLetters } = this.options;
    if (!deadLetters) return;
    const { above, within } = deadLetters;
    if (within === undefined) {
      const message = `there are ${seen.count} dead letters, more than ${above}`;
      return this.set('dead-letters', seen.count > above, { ...seen, message });
    }
    this.note(samples, seen.count, at, within);
    const came = seen.count - Math.min(...this.totals.map(({ total }) => total));
    const message = `${came} dead letters have come within ${within} ms, more than ${above}`;
    this.set('dead-letters', came > above, { ...seen, came, message });
  }

  private observeOldest(
    samples: readonly PlaceSample[],
    seen: Pick<DeadLetterAlert, 'count' | 'places'>,
    now: number,
  ): void {
    const { oldest } = this.options;
    if (oldest === undefined) return;
    const first = Math.min(...samples.map((sample) => sample.oldest ?? Infinity));
    const oldestAgeMs = now - first;
    const isOld = first < Infinity;
    const message = `the oldest dead letter was given up ${oldestAgeMs} ms ago, more than ${oldest}`;
    this.set('oldest-dead-letter', isOld, { ...seen, ...(isOld && { oldestAgeMs }), message });
  }

  private note(samples: readonly PlaceSample[], total: number, at: number, within: number): void {
    // What a place held before anybody looked has not come now.
    for (const { place, count } of samples) {
      if (this.known.has(place)) continue;
      this.known.add(place);
      for (const one of this.totals) one.total += count;
    }
    const last = this.totals.at(-1);
    if (last && at - last.at < within / STEPS) last.total = Math.min(last.total, total);
    else this.totals.push({ at, total });
    while (this.totals.length > 1 && this.totals[0].at < at - within) this.totals.shift();
  }

  private set(kind: Kind, isRaised: boolean, seen: Omit<DeadLetterAlert, 'kind' | 'state'>): void {
    const before = this.raised.get(kind);
    if (!isRaised && !before) return;
    const message = isRaised ? seen.message : `it is over that ${before!.message}`;
    const alert: DeadLetterAlert = { ...seen, kind, state: isRaised ? 'raised' : 'cleared', message };
    if (isRaised) this.raised.set(kind, alert);
    else this.raised.delete(kind);
    if (isRaised && before) return;
    const where = alert.places.map(({ place, count }) => `${place}: ${count}`).join(', ');
    if (isRaised) this.log.warn(`Alert: ${message} (${where})`);
    else this.log.log(`Alert cleared: ${message}`);
    this.tell(alert);
    this.call(alert);
  }

  /** What the application does with it must not disturb. */
  private call(alert: DeadLetterAlert): void {
    const failed = (error: unknown): void => this.log.error(`alerts.onAlert failed: ${errorMessage(error)}`);
    try {
      Promise.resolve(this.options.onAlert?.(alert)).catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
