import type { CancelTimer } from '../../clock/clock.js';
import type { TransportEnvironment } from '../../transport/transport.js';

export const RENEWAL_INTERVAL_MS = 60_000;
/** So that the processes of a service do not come all at once. */
const JITTER = 0.2;

/**
 * Declares everything again every minute. When an exchange is deleted and declared again its bindings are gone, and no
 * client is told, nor can AMQP ask for a binding: declaring what may be there already is the only way, and a cheap one.
 */
export class Renewal {
  private cancel: CancelTimer = () => {};
  private running = false;

  constructor(
    private readonly environment: Pick<TransportEnvironment, 'clock' | 'random'>,
    private readonly renew: () => Promise<void>,
  ) {}

  start(): void {
    this.running = true;
    this.arm();
  }

  stop(): void {
    this.running = false;
    this.cancel();
  }

  private arm(): void {
    const { clock, random } = this.environment;
    const delayMs = RENEWAL_INTERVAL_MS * (1 + JITTER * (2 * random() - 1));
    this.cancel = clock.after(delayMs, () => void this.renew().finally(() => this.running && this.arm()), {
      background: true,
    });
  }
}
