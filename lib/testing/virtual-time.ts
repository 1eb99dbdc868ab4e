import { systemClock } from '../clock/clock.js';
import type { ManualClock } from '../clock/manual-clock.js';
import { nextTurn } from '../clock/turn.js';

/** Turns of the event loop in which nothing happens, after which everything has had its chance. */
const QUIET_TURNS = 4;
/** Timers that cause nothing, before everything else has its chance again. */
const MAX_STEPS = 100;
/** Real milliseconds between two looks at a handler that runs while the application closes. */
const LOOK_MS = 5;

/** What happens, as far as time has to know. */
export interface Activity {
  /** Grows with everything that happens. */
  readonly version: number;
  /** Handlers that run: what they wait for is real, so that virtual time stands still for them. */
  readonly running: number;
}

/** Moves a clock that stands still: one move at a time, from one timer to the next. */
export class VirtualTime {
  private moving: Promise<unknown> = Promise.resolve();

  constructor(
    readonly clock: ManualClock,
    private readonly activity: Activity,
  ) {}

  /** Moves the time on by `ms` milliseconds; whatever falls due on the way happens. */
  advance(ms: number): Promise<void> {
    const move = this.moving.then(() => this.clock.advance(ms));
    this.moving = move.catch(() => undefined);
    return move;
  }

  /** Resolves when nothing has happened for some turns of the event loop, though handlers may run. */
  async quiet(): Promise<void> {
    let { version } = this.activity;
    for (let turns = 0; turns < QUIET_TURNS; turns++) {
      await new Promise<void>((resolve) => nextTurn(resolve));
      if (version !== this.activity.version) turns = 0;
      ({ version } = this.activity);
    }
  }

  /**
   * Goes to the next timers that are not later than `until`, on the monotonic clock, until one of them causes something;
   * false: there is none.
   */
  async step(until: number): Promise<boolean> {
    const { version } = this.activity;
    let steps = 0;
    for (; steps < MAX_STEPS && version === this.activity.version; steps++) {
      const { nextIn } = this.clock;
      if (nextIn === undefined || this.clock.monotonic() + nextIn > until) break;
      await this.advance(nextIn);
    }
    return steps > 0;
  }

  /**
   * Keeps deadlines of a shutdown coming until it has `ended`: nobody else moves the time then. A handler that runs gets
   * `graceMs` real milliseconds first.
   */
  async drain(ended: () => boolean, graceMs: number): Promise<void> {
    for (let waited = 0; !ended(); waited += LOOK_MS) {
      await this.quiet();
      if (this.clock.pending > 0 && (this.activity.running === 0 || waited >= graceMs))
        // A timer of the application's own that throws must not stop those of the shutdown.
        await this.step(Infinity).catch(() => undefined);
      await new Promise<void>((resolve) => void systemClock.after(LOOK_MS, resolve, { background: true }));
    }
  }
}
