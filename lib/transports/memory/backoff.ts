import { reconnectDelay } from '../../transport/reconnect-delay.js';
import type { ReconnectPolicy } from '../../transport/transport.js';

/** The waiting times of one series of attempts: doubled from `initial` up to `max`, each varied by ± `jitter`. */
export class Backoff {
  private failures = 0;

  constructor(
    private readonly policy: ReconnectPolicy,
    private readonly random: () => number,
  ) {}

  /** Milliseconds until the next attempt. */
  next(): number {
    return reconnectDelay(this.policy, ++this.failures, this.random);
  }

  /** An attempt succeeded. */
  reset(): void {
    this.failures = 0;
  }
}
