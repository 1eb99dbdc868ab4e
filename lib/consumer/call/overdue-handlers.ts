import type { Clock } from '../../clock/clock.js';

/**
 * Handlers that run on past their timeout. Their messages are settled, but what they do is still going on: each keeps its
 * slot until it ends, for at most `graceMs` more. Longer would let handlers that never end stop the subscription for ever.
 */
export class OverdueHandlers {
  /** How many run on, with or without a slot. */
  private count = 0;
  private held = 0;

  constructor(
    private readonly graceMs: number,
    private readonly clock: Clock,
    /** A handler still runs at the end of its grace. */
    private readonly graceOver: () => void,
  ) {}

  /** How many handlers keep their slot. */
  get slots(): number {
    return this.held;
  }

  /** For health; undefined when there are none. */
  report(): string | undefined {
    if (this.count === 0) return undefined;
    return this.count === 1 ? '1 handler past its timeout' : `${this.count} handlers past their timeout`;
  }

  /** `slotFree` is called once: when the handler has ended, or its grace has. */
  add(running: Promise<unknown>, slotFree: () => void): void {
    this.count++;
    this.held++;
    let holding = true;
    const free = (): void => {
      if (!holding) return;
      holding = false;
      this.held--;
      slotFree();
    };
    const cancel = this.clock.after(
      this.graceMs,
      () => {
        this.graceOver();
        free();
      },
      { background: true },
    );
    const end = (): void => {
      cancel();
      this.count--;
      free();
    };
    running.then(end, end);
  }
}
