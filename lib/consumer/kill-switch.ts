import type { CancelTimer, Clock } from '../clock/clock.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { integerBetween, knownKeys, numberBetween } from '../errors/option-checks.js';
import type { Outcome } from '../pipeline/outcome.js';

/** When a subscription stops by itself because its handler fails too often. */
export interface KillSwitchOptions {
  /** The subscription stops when so many of the last `of` handler calls have failed. */
  readonly failures: number;
  /** How many calls are looked at. Default: `failures`, which then means one after the other. */
  readonly of?: number;
  /** Milliseconds until one message is handled as a probe; and again after each probe that fails. Default 30,000. */
  readonly probeAfter?: number;
}

/** Checks the options and fills in the defaults. @throws InvalidOptionError */
export function checkKillSwitch(options: KillSwitchOptions): Required<KillSwitchOptions> {
  knownKeys('killSwitch', options, ['failures', 'of', 'probeAfter']);
  const failures = integerBetween('killSwitch.failures', options.failures, 1, MAX_WINDOW);
  const of = integerBetween('killSwitch.of', options.of ?? failures, 1, MAX_WINDOW);
  if (of < failures)
    throw new InvalidOptionError(
      'killSwitch.of',
      of,
      `a number not below «failures», ${failures}: it would never trip`,
    );
  return { failures, of, probeAfter: numberBetween('killSwitch.probeAfter', options.probeAfter ?? 30_000, 1, LONGEST) };
}

const MAX_WINDOW = 10_000;
const LONGEST = 2 ** 31 - 1;

export type KillSwitchState = 'closed' | 'tripped' | 'probing';

/**
 * Closed, it counts failures. Tripped, nothing passes. After `probeAfter` one message does, and its result closes the switch
 * or trips it again.
 *
 * A failure is a call that the retry policy would repeat, or would have, had it not been the last. A message that is itself
 * at fault (unrecoverable, undecodable) says nothing about what the handler needs, and counts for neither side.
 */
export class KillSwitch {
  private state: KillSwitchState = 'closed';
  private probe: object | undefined;
  private readonly recent: boolean[] = [];
  private failed = 0;
  private cancelTimer: CancelTimer | undefined;

  constructor(
    private readonly options: Required<KillSwitchOptions>,
    private readonly clock: Clock,
    private readonly changed: (state: KillSwitchState, reason: string) => void,
  ) {}

  /** Whether a handler may be called now. */
  get passes(): boolean {
    return this.state === 'closed' || (this.state === 'probing' && this.probe === undefined);
  }

  /** One message is to be tried. */
  get probing(): boolean {
    return this.state === 'probing';
  }

  /** Why nothing passes; undefined while the switch is closed. */
  get reason(): string | undefined {
    const { failures, of } = this.options;
    return this.state === 'closed' ? undefined : `kill switch: ${failures} of the last ${of} handler calls failed`;
  }

  /** A handler is called. */
  began(call: object): void {
    if (this.state === 'probing') this.probe ??= call;
  }

  /** A handler call has ended. */
  ended(call: object, { type, reason }: Outcome): void {
    const failed = type === 'retry' || reason === 'attempts-exhausted';
    const answered = failed || type === 'ack';
    if (this.state === 'closed') {
      if (answered) this.count(failed);
      return;
    }
    if (call !== this.probe) return;
    this.probe = undefined;
    if (!answered) this.changed('probing', this.reason!);
    else if (failed) this.trip();
    else this.close('the probe succeeded');
  }

  /** The call has no result: its delivery was lost. */
  lost(call: object): void {
    if (call !== this.probe) return;
    this.probe = undefined;
    this.changed('probing', this.reason!);
  }

  /** Back to normal, by hand. */
  reset(): void {
    if (this.state !== 'closed') this.close('resumed');
  }

  stop(): void {
    this.cancelTimer?.();
  }

  private count(failed: boolean): void {
    const { recent, options } = this;
    recent.push(failed);
    if (failed) this.failed++;
    if (recent.length > options.of && recent.shift()) this.failed--;
    if (this.failed >= options.failures) this.trip();
  }

  private trip(): void {
    this.state = 'tripped';
    this.forget();
    this.cancelTimer = this.clock.after(
      this.options.probeAfter,
      () => {
        this.state = 'probing';
        this.changed('probing', this.reason!);
      },
      { background: true },
    );
    this.changed('tripped', this.reason!);
  }

  private close(reason: string): void {
    this.cancelTimer?.();
    this.state = 'closed';
    this.probe = undefined;
    this.forget();
    this.changed('closed', reason);
  }

  private forget(): void {
    this.recent.length = 0;
    this.failed = 0;
  }
}
