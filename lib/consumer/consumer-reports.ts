import type { Clock } from '../clock/clock.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { ConsumerTelemetry } from '../pipeline/telemetry.js';
import type { Delivery } from '../transport/delivery.js';
import { deliveryView } from '../transport/delivery-view.js';
import type { KillSwitchState } from './kill-switch.js';
import type { SettledAs } from './settlement/settlement.js';
import type { Work } from './call/work.js';

/** Somebody who asks for messages and settles them, and learns what became of each. */
export interface SettlementFollower {
  /** The spans of what is asked for. */
  readonly telemetry: ConsumerTelemetry | undefined;
  settled(delivery: Delivery, settled: SettledAs): void;
}

/** Tells the listeners of `messaging.events` what a consumer does; without a listener nothing is made. */
export class ConsumerReports {
  constructor(
    private readonly queue: string,
    private readonly events: MessagingEvents,
    private readonly clock: Clock,
    private readonly follower?: SettlementFollower,
  ) {}

  stopped(reason: string): void {
    if (this.events.has('consumer-stopped')) this.events.emit('consumer-stopped', { queue: this.queue, reason });
  }

  switched(state: KillSwitchState, reason: string): void {
    if (this.events.has('kill-switch')) this.events.emit('kill-switch', { queue: this.queue, state, reason });
  }

  delivered({ delivery, attempt }: Work): void {
    if (this.events.has('delivered')) this.events.emit('delivered', { delivery: deliveryView(delivery), attempt });
  }

  settled({ delivery, attempt, startedAt }: Work, outcome: SettledAs, error: unknown): void {
    this.follower?.settled(delivery, outcome);
    if (!this.events.has('settled')) return;
    const durationMs = this.clock.monotonic() - startedAt;
    const view = deliveryView(delivery);
    this.events.emit('settled', {
      delivery: view,
      attempt,
      outcome,
      durationMs,
      ...(error !== undefined && { error }),
    });
  }

  /** Nobody could be told what becomes of it: it comes back with the connection. */
  unsettled({ delivery }: Work): void {
    this.follower?.settled(delivery, 'released');
  }
}
