import type { Clock } from '../clock/clock.js';
import type { RedriveProgress } from '../dead-letter/redrive-options.js';
import type { Output } from './command.js';

const ERASE_LINE = '\r\u001b[2K';
const WIDTH = 24;
/** So often it is drawn again at most. */
const INTERVAL_MS = 100;

/** One line on a terminal that says how far a redrive is; nothing elsewhere. */
export class ProgressBar {
  private drawnAt = -Infinity;
  private drawn = false;
  private readonly startedAt: number;

  constructor(
    private readonly output: Output,
    private readonly clock: Clock,
  ) {
    this.startedAt = clock.monotonic();
  }

  draw(progress: RedriveProgress): void {
    const now = this.clock.monotonic();
    if (!this.output.isTTY || (!progress.waiting && now - this.drawnAt < INTERVAL_MS)) return;
    this.drawnAt = now;
    this.drawn = true;
    const { examined, total, done, failed, waiting } = progress;
    const full = total === 0 ? WIDTH : Math.round((examined / total) * WIDTH);
    const seconds = (now - this.startedAt) / 1_000;
    const rate = seconds > 0 ? `, ${Math.round(done / seconds)}/s` : '';
    const state = waiting ? ', waiting for the canaries' : rate;
    const line = `[${'#'.repeat(full).padEnd(WIDTH, '.')}] ${examined}/${total}: ${done} redriven, ${failed} failed${state}`;
    this.output.write(ERASE_LINE + line.slice(0, Math.max(20, (this.output.columns ?? 120) - 1)));
  }

  /** Takes the line away. */
  end(): void {
    if (this.drawn) this.output.write(ERASE_LINE);
  }
}
