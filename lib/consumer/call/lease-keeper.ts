import type { CancelTimer, Clock } from '../../clock/clock.js';
import { errorMessage } from '../../errors/redact.js';
import type { Log } from '../../events/log.js';
import { nameOf } from '../../message/message-name.js';
import type { Delivery } from '../../transport/delivery.js';

/**
 * Extends the leases of all deliveries that are here, held and waiting ones included, with one timer for all of them. It
 * runs only while there are some.
 */
export class LeaseKeeper {
  private cancelTimer: CancelTimer | undefined;

  constructor(
    private readonly leaseMs: number,
    private readonly environment: { readonly clock: Clock; readonly log: Log },
    private readonly deliveries: () => Iterable<Delivery>,
  ) {}

  /** There is something to keep. */
  wake(): void {
    this.cancelTimer ??= this.environment.clock.after(this.leaseMs / 3, () => this.extend(), { background: true });
  }

  stop(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
  }

  private extend(): void {
    this.cancelTimer = undefined;
    let some = false;
    for (const delivery of this.deliveries()) {
      some = true;
      // A delivery that cannot be extended is lost, which the transport tells.
      delivery.extend?.(this.leaseMs).catch((error: unknown) => this.failed(delivery, error));
    }
    if (some) this.wake();
  }

  private failed({ queue, message }: Delivery, error: unknown): void {
    this.environment.log.warn(`«${queue}»: the lease of ${nameOf(message)} was not extended: ${errorMessage(error)}`);
  }
}
