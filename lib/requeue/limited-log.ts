import type { Clock } from '../clock/clock.js';

const WINDOW_MS = 10_000;
const LINES_PER_WINDOW = 10;

/** Lines that may come in floods: so many per window are written, the others counted and told with the next one. */
export class LimitedLog {
  private windowBegan = -Infinity;
  private written = 0;
  private left = 0;

  constructor(
    private readonly clock: Clock,
    private readonly line: (text: string) => void,
  ) {}

  write(text: string): void {
    const now = this.clock.monotonic();
    if (now - this.windowBegan >= WINDOW_MS) {
      this.windowBegan = now;
      this.written = 0;
    }
    if (this.written >= LINES_PER_WINDOW) {
      this.left++;
      return;
    }
    this.written++;
    this.line(this.left === 0 ? text : `${text} (and ${this.left} more like this)`);
    this.left = 0;
  }
}
