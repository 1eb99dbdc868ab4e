import type { Clock } from '../../clock/clock.js';
import { errorMessage } from '../../errors/redact.js';
import { textIn } from '../../errors/thrown-value.js';
import type { Log, LogFields } from '../../events/log.js';
import { nameOf } from '../../message/message-name.js';
import type { Outcome } from '../../pipeline/outcome.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Work } from '../call/work.js';

/** A dependency that is down fails every message: so many first failures are warned of one by one, and the rest counted. */
const WARNINGS_PER_WINDOW = 100;
const WINDOW_MS = 60_000;

/** What the log says of failed handler calls: the first of a message and the last are warnings with the stack, those between are for debugging. */
export class FailureLog {
  private warnings = 0;
  private uncounted = 0;
  private windowEndsAt = -Infinity;

  constructor(
    private readonly queue: string,
    private readonly environment: { readonly clock: Clock; readonly log: Log },
    /** Handler calls in all, where it is known. */
    private readonly attempts?: number,
  ) {}

  /** A call failed, and another one comes. */
  retried(delivery: Delivery, attempt: number, delayMs: number, error: unknown): void {
    const { clock, log } = this.environment;
    const why = error === undefined ? '' : ` (${errorMessage(error)})`;
    const line = `«${this.queue}»: call ${attempt} of ${nameOf(delivery.message)} failed${why}, the next one in ${delayMs} ms`;
    const fields = { ...this.fields(delivery, attempt, error), nextCallAt: isoTime(clock.now() + delayMs) };
    if (attempt === 1 && this.mayWarn()) log.warn(line, { ...fields, stack: stackOf(error) });
    else log.debug(line, fields);
  }

  /** The same of a message that is called again in place. */
  held({ delivery, attempt }: Work, { type, delayMs, error }: Outcome): void {
    if (type === 'retry') this.retried(delivery, attempt, delayMs, error);
  }

  /** The last call failed, or no other can help: what has become of the message is in `line`. */
  ended(delivery: Delivery, attempt: number, error: unknown, line: string, more: LogFields = {}): void {
    const fields = { ...this.fields(delivery, attempt, error), ...more, stack: stackOf(error) };
    this.environment.log.warn(`«${this.queue}»: ${line}`, fields);
  }

  private fields({ message }: Delivery, attempt: number, error: unknown): LogFields {
    const { id, route } = message;
    const said = error === undefined ? undefined : errorMessage(error);
    return { queue: this.queue, route, id, attempt, attempts: this.attempts, error: said };
  }

  private mayWarn(): boolean {
    const { clock } = this.environment;
    const now = clock.monotonic();
    if (now >= this.windowEndsAt) {
      this.windowEndsAt = now + WINDOW_MS;
      this.warnings = 0;
    }
    if (this.warnings++ < WARNINGS_PER_WINDOW) return true;
    if (this.uncounted++ === 0) clock.after(this.windowEndsAt - now, () => this.tellUncounted(), { background: true });
    return false;
  }

  private tellUncounted(): void {
    const count = this.uncounted;
    this.uncounted = 0;
    this.environment.log.warn(
      `«${this.queue}»: the first call failed for ${count} more messages within a minute; each is told at level debug`,
      { queue: this.queue, count },
    );
  }
}

/** The end of a log line: an Outcome can be without an error. */
export function because(error: unknown): string {
  return error === undefined ? '' : `: ${errorMessage(error)}`;
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? textIn(() => error.stack) : undefined;
}

/** A time beyond what a date can be has no text. */
function isoTime(ms: number): string | undefined {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
