import type { CancelTimer, Clock } from '../../clock/clock.js';
import type { Gate } from '../gate.js';
import type { Work } from './work.js';

/** How long a suspect waits for the calls that run: longer would hold up a subscription whose handlers are slow. */
const WITHIN_MS = 30_000;
/** Suspects come this far apart, so that one can be called without the next being here. */
const SPACING_MS = 1_000;
const MAX_WAIT_MS = 300_000;

interface CallAloneParts {
  readonly clock: Clock;
  readonly gate: Gate;
  /** How many calls run or are about to, that of the suspect included. */
  running(): number;
  call(work: Work): void;
  putOff(work: Work, delayMs: number): void;
  /** A delivery has come, and waits for its call. */
  reserved(): void;
}

/**
 * Calls messages that are suspected of ending their process alone: when no other call of the subscription runs, and none
 * begins meanwhile. Where one waits already, a second one is put off: were it here when the process ends, it would look as
 * guilty as the first.
 */
export class CallsAlone {
  private work: Work | undefined;
  private called = false;
  /** What came together with the suspect has been put off. */
  private settled = false;
  private waitedLong = false;
  private nextAt = -Infinity;
  private cancelTimer: CancelTimer | undefined;

  constructor(private readonly parts: CallAloneParts) {}

  add(work: Work): void {
    const { clock, gate } = this.parts;
    if (this.work) return this.parts.putOff(work, Math.max(SPACING_MS, this.nextWait()));
    this.work = work;
    this.called = this.settled = this.waitedLong = false;
    gate.reserved = true;
    this.cancelTimer = clock.after(0, () => {
      this.settled = true;
      this.cancelTimer = clock.after(WITHIN_MS, () => {
        this.waitedLong = true;
        this.advance();
      });
      this.advance();
    });
    this.parts.reserved();
  }

  /** Milliseconds until a further suspect may come. */
  nextWait(): number {
    const now = this.parts.clock.monotonic();
    const wait = Math.min(MAX_WAIT_MS, Math.max(0, this.nextAt - now));
    this.nextAt = now + wait + SPACING_MS;
    return wait;
  }

  /** A call has ended, or the gate was opened. */
  advance(): void {
    const { work } = this;
    if (!work || this.called || !this.settled || !this.parts.gate.passable) return;
    if (this.parts.running() > 1 && !this.waitedLong) return;
    this.called = true;
    this.cancelTimer?.();
    this.parts.call(work);
  }

  /** The delivery is settled, held or lost. True: it was not called. */
  left(work: Work): boolean {
    if (work !== this.work) return false;
    this.work = undefined;
    this.cancelTimer?.();
    this.parts.gate.reserved = false;
    return !this.called;
  }

  /** The delivery that waits for its call, if any. */
  get waiting(): Work[] {
    return this.work && !this.called ? [this.work] : [];
  }
}
