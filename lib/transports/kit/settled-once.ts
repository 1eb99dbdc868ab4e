import { DeliveryLostError } from '../../errors/handling-errors.js';
import type { WireMessage } from '../../message/message.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';

/** What settles a delivery with the broker: the session that it came in, as long as that lasts. */
export interface Settler<D> {
  ack(delivery: D): void;
  /** Absent: nobody knows when the ack is read. */
  ackConfirmed?(delivery: D): Promise<boolean>;
  release(delivery: D, delayMs: number): void;
}

/** A delivery that is settled once, and not at all after it was abandoned; its broker does not answer acks. */
export abstract class UnansweredOnce<Received, S extends Settler<never>> implements Delivery {
  private settler: S | undefined;

  constructor(
    readonly message: WireMessage,
    readonly queue: string,
    readonly direct: boolean,
    readonly topic: string | undefined,
    readonly deliveryCount: number | undefined,
    /** As the client handed the delivery over; what can be changed of it is the message's. */
    readonly received: Received,
    settler: S,
  ) {
    this.settler = settler;
  }

  abstract get raw(): Received;

  ack(): void {
    this.take()?.ack(this as never);
  }

  release(delayMs = 0): void {
    this.take()?.release(this as never, delayMs);
  }

  /** The delivery is not ours any more: settling it does nothing from now on. */
  abandon(): void {
    this.settler = undefined;
  }

  /** The settler, to be asked something about the delivery; undefined when that was settled or abandoned. */
  protected get holder(): S | undefined {
    return this.settler;
  }

  /** The settler, for the one settlement: nobody has it after that. Undefined when settled or abandoned before. */
  protected take(): S | undefined {
    const { settler } = this;
    this.settler = undefined;
    return settler;
  }
}

/** The same where the broker answers acks. */
export abstract class SettledOnce<Received, S extends Settler<never>> extends UnansweredOnce<Received, S> {
  ackConfirmed(): Promise<boolean> {
    const settler = this.take();
    if (settler?.ackConfirmed) return settler.ackConfirmed(this as never);
    settler?.ack(this as never);
    return Promise.resolve(false);
  }
}

/** What settles deliveries that are claimed for the length of a lease. */
export interface Claimer<D> extends Settler<D> {
  ackConfirmed(delivery: D): Promise<boolean>;
  extend(delivery: D, ms: number): Promise<void>;
  move(delivery: D, to: Outgoing): Promise<PublishResult>;
}

/** The same where the broker lends messages, and moves one in a single step. */
export abstract class ClaimedOnce<Received, S extends Claimer<never>> extends SettledOnce<Received, S> {
  async extend(ms: number): Promise<void> {
    await this.holder?.extend(this as never, ms);
  }

  /** The copy is written and the message removed: both, or neither. */
  move(to: Outgoing): Promise<PublishResult> {
    const { holder } = this;
    if (holder) return holder.move(this as never, to);
    const error = new DeliveryLostError('The delivery is lost, or was settled before');
    return Promise.resolve({ status: 'failed', error });
  }
}
