import type { Clock } from '../clock/clock.js';
import { reconnectDelay } from './reconnect-delay.js';
import type { ReconnectPolicy } from './transport.js';

/**
 * The pauses before what is to run for ever is started again. They grow with every failed start and every run that ends by
 * itself, also one that had begun well: only a run as long as the longest pause makes the next pause short again.
 */
export class RestartPauses {
  /** Failures and short runs in a row. */
  failures = 0;
  private runningSince: number | undefined;

  constructor(
    private readonly policy: ReconnectPolicy,
    private readonly clock: Clock,
    private readonly random: () => number,
  ) {}

  /** Milliseconds to wait before the next start; 0: none. */
  get nextMs(): number {
    return this.failures === 0 ? 0 : reconnectDelay(this.policy, this.failures, this.random);
  }

  /** The run has begun. */
  began(): void {
    this.runningSince = this.clock.monotonic();
  }

  /** A start failed, or a run ended by itself. */
  failed(): void {
    if (this.runningSince !== undefined && this.clock.monotonic() - this.runningSince >= this.policy.max)
      this.failures = 0;
    this.runningSince = undefined;
    this.failures++;
  }

  /** What a run stands on is gone: whoever brings that back makes the pauses. */
  reset(): void {
    this.runningSince = undefined;
    this.failures = 0;
  }
}
