import type { Clock } from '../clock/clock.js';
import type { RedriveProgress } from '../dead-letter/redrive-options.js';
import type { Console, Output } from './command.js';

const ERASE_LINE = '\r\u001b[2K';
const WIDTH = 24;
/** So often the bar is drawn again at most. */
const INTERVAL_MS = 100;

/** Where the terminal does not tell how wide it is. */
const USUAL_COLUMNS = 80;

/** One line on a terminal that says how far a redrive is; nothing elsewhere, and nothing that wraps. */
export class ProgressBar {
  private drawnAt = -Infinity;
  private drawn = false;
  private readonly startedAt: number;
  private readonly shown: boolean;

  /** With `NO_COLOR`, or `TERM=dumb`, nothing is written that steers a terminal. */
  constructor(
    private readonly output: Output,
    private readonly clock: Clock,
    { NO_COLOR, TERM }: Console['env'] = {},
  ) {
    this.startedAt = clock.monotonic();
    this.shown = output.isTTY === true && !NO_COLOR && TERM !== 'dumb';
  }

  draw(progress: RedriveProgress): void {
    const now = this.clock.monotonic();
    if (!this.shown || (!progress.waiting && now - this.drawnAt < INTERVAL_MS)) return;
    this.drawnAt = now;
    this.drawn = true;
    const { examined, total, done, failed, waiting } = progress;
    const full = total === 0 ? WIDTH : Math.round((examined / total) * WIDTH);
    const seconds = (now - this.startedAt) / 1_000;
    const rate = seconds > 0 ? `, ${Math.round(done / seconds)}/s` : '';
    const state = waiting ? ', waiting for the canaries' : rate;
    const line = `[${'#'.repeat(full).padEnd(WIDTH, '.')}] ${examined}/${total}: ${done} redriven, ${failed} failed${state}`;
    const columns = this.output.columns || USUAL_COLUMNS;
    this.output.write(ERASE_LINE + line.slice(0, columns - 1));
  }

  /** Takes the line away. */
  end(): void {
    if (this.drawn) this.output.write(ERASE_LINE);
  }
}
