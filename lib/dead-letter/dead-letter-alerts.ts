import { errorMessage } from '../errors/redact.js';
import type { DeadLetterAlert } from '../events/dead-letter-alert.js';
import type { Log } from '../events/log.js';
import type { PlaceSample } from './dead-letter-place.js';
import { RecentArrivals } from './recent-arrivals.js';

/** When somebody is to be told of dead letters, in all places that this process knows together. */
export interface AlertsOptions {
  /** More than `above` have come within so many milliseconds; without `within`: are there. */
  readonly deadLetters?: { readonly above: number; readonly within?: number };
  /** One was given up more than so many milliseconds ago, and is still there. */
  readonly oldest?: number;
  /** Called when an alert is raised, and when it is cleared. What it throws is logged. */
  readonly onAlert?: (alert: DeadLetterAlert) => unknown;
}

type Kind = DeadLetterAlert['kind'];

/** Decides when an alert is raised and cleared. */
export class DeadLetterAlerts {
  private readonly raised = new Map<Kind, DeadLetterAlert>();
  private readonly arrivals: RecentArrivals | undefined;

  constructor(
    readonly options: AlertsOptions,
    private readonly log: Log,
    private readonly tell: (alert: DeadLetterAlert) => void,
  ) {
    const within = options.deadLetters?.within;
    this.arrivals = within === undefined ? undefined : new RecentArrivals(within);
  }

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
    if (!this.arrivals) {
      const message = `there are ${seen.count} dead letters, more than ${above}`;
      return this.set('dead-letters', seen.count > above, { ...seen, message });
    }
    const came = this.arrivals.observe(samples, at);
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
