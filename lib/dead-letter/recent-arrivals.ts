import type { PlaceSample } from './dead-letter-place.js';

/** The window is kept in so many steps. */
const STEPS = 100;

interface Total {
  readonly at: number;
  total: number;
}

/** How many dead letters have come within a window, told by the totals of all places. */
export class RecentArrivals {
  /** Of a step the lowest. */
  private readonly totals: Total[] = [];
  /** The last count of each place. */
  private readonly known = new Map<string, number>();
  private last: Total | undefined;
  /**
   * The last total, where it is less than the one before. What somebody holds for a moment, to look at it, is not counted
   * by the broker: when all is there again at the next look, nothing was gone.
   */
  private fall: (Total & { before: number }) | undefined;

  /** Milliseconds. */
  constructor(private readonly within: number) {}

  /** `at`: of a clock of durations. @returns how many have come within the window */
  observe(samples: readonly PlaceSample[], at: number): number {
    this.know(samples);
    const total = samples.reduce((sum, { count }) => sum + count, 0);
    if (this.fall && total < this.fall.before) this.note(this.fall);
    const before = this.last?.total ?? total;
    this.last = { at, total };
    this.fall = total < before ? { at, total, before } : undefined;
    if (!this.fall) this.note({ at, total });
    // The last from before the window is what the window began with.
    while (this.totals.length > 1 && this.totals[1].at <= at - this.within) this.totals.shift();
    return Math.max(0, total - Math.min(...this.totals.map((one) => one.total)));
  }

  /** What a place held before anybody looked has not come now, nor has it gone with the place. */
  private know(samples: readonly PlaceSample[]): void {
    const now = new Map(samples.map(({ place, count }) => [place, count]));
    for (const [place, count] of now) if (!this.known.has(place)) this.shift(count);
    for (const [place, count] of this.known) if (!now.has(place)) this.shift(-count);
    this.known.clear();
    for (const [place, count] of now) this.known.set(place, count);
  }

  private shift(count: number): void {
    const all = [...this.totals, ...(this.last ? [this.last] : []), ...(this.fall ? [this.fall] : [])];
    for (const one of all) one.total = Math.max(0, one.total + count);
    if (this.fall) this.fall.before = Math.max(0, this.fall.before + count);
  }

  private note({ at, total }: Total): void {
    const last = this.totals.at(-1);
    if (last && at - last.at < this.within / STEPS) last.total = Math.min(last.total, total);
    else this.totals.push({ at, total });
  }
}
