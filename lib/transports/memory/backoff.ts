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
    const { initial, max, jitter } = this.policy;
    const plain = Math.min(max, initial * 2 ** Math.min(this.failures++, 52));
    return plain * (1 + jitter * (2 * this.random() - 1));
  }

  /** An attempt succeeded. */
  reset(): void {
    this.failures = 0;
  }
}
