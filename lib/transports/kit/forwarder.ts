import type { Delivery } from '../../transport/delivery.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { SubscribeHandlers, TransportEnvironment } from '../../transport/transport.js';
import { RETRY_MS, Undeliverable } from '../../transport/undeliverable.js';

/**
 * Sends on what is due and what the broker does not deliver by itself, and acks it once that is confirmed. What nobody
 * takes goes round again, for ever: nothing vanishes, and nothing stands in the way of others.
 */
export abstract class Forwarder<K extends string | number> implements SubscribeHandlers {
  readonly undeliverable: Undeliverable<K>;

  constructor(protected readonly environment: TransportEnvironment) {
    this.undeliverable = new Undeliverable(environment);
  }

  /** Publishes what is due where it belongs, and tells `forwarded` what became of it. */
  abstract delivery(delivery: Delivery): void;

  lost(): void {
    // The broker delivers the message again; at worst it is sent on twice.
  }

  state(): void {
    // Nobody waits for the state of a forwarder.
  }

  /** The message was refused: it comes again after a pause. */
  protected abstract again(delivery: Delivery, outgoing: Outgoing): void;

  /** `key` tells the message from others that nobody takes. */
  protected forwarded(delivery: Delivery, key: K, outgoing: Outgoing, result: PublishResult): void {
    switch (result.status) {
      case 'confirmed':
        if (!this.undeliverable.isEmpty) this.undeliverable.delivered(key);
        return delivery.ack();
      case 'failed':
        // Where a queue of its route is full, the others get a copy each time: the pauses have to grow.
        if (!result.nacked) return delivery.release(RETRY_MS);
        break;
      case 'unroutable':
      case 'refused':
    }
    this.undeliverable.refused(key, outgoing.message, result.error.message);
    this.again(delivery, outgoing);
  }
}
