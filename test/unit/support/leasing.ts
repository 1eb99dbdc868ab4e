import type { CancelTimer } from '../../../lib/clock/clock.js';
import type { Delivery } from '../../../lib/transport/delivery.js';
import type {
  SubscribeHandlers,
  SubscribeOptions,
  Transport,
  TransportEnvironment,
  TransportSubscription,
} from '../../../lib/transport/transport.js';

/** The embedded broker as one that leases what it delivers: what is not extended in time is somebody else's. */
export function leasing<F extends { create(): Transport }>(factory: F, leaseMs: number): F {
  return { ...factory, create: () => lease(factory.create(), leaseMs) };
}

function lease(transport: Transport, leaseMs: number): Transport {
  let environment: TransportEnvironment;
  const { connect, subscribe } = transport;
  return Object.defineProperties(transport, {
    capabilities: { value: { ...transport.capabilities, leaseMs } },
    connect: {
      value: (given: TransportEnvironment) => {
        environment = given;
        return connect.call(transport, given);
      },
    },
    subscribe: {
      value: (options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> => {
        const leased = new Map<Delivery, Leased>();
        return subscribe.call(transport, options, {
          ...handlers,
          delivery: (inner) => {
            const one = new Leased(inner, environment, leaseMs, () => handlers.lost(one));
            leased.set(inner, one);
            handlers.delivery(one);
          },
          lost: (inner) => leased.get(inner)?.lose(),
        });
      },
    },
  });
}

/** A delivery until its lease ends. */
export class Leased implements Delivery {
  readonly message: Delivery['message'];
  readonly queue: string;
  readonly direct: boolean;
  readonly topic: string | undefined;
  readonly deliveryCount: number | undefined;
  readonly raw: unknown;
  /** How often it was extended. */
  extended = 0;
  private end!: CancelTimer;
  private ours = true;

  constructor(
    private readonly inner: Delivery,
    private readonly environment: TransportEnvironment,
    leaseMs: number,
    private readonly lost: () => void,
  ) {
    this.message = inner.message;
    this.queue = inner.queue;
    this.direct = inner.direct;
    this.topic = inner.topic;
    this.deliveryCount = inner.deliveryCount;
    this.raw = inner.raw;
    this.begin(leaseMs);
  }

  ack(): void {
    if (this.settle()) this.inner.ack();
  }

  async ackConfirmed(): Promise<boolean> {
    return this.settle() && this.inner.ackConfirmed!();
  }

  release(delayMs?: number): void {
    if (this.settle()) this.inner.release(delayMs);
  }

  async extend(ms: number): Promise<void> {
    if (!this.ours) return;
    this.extended++;
    this.end();
    this.begin(ms);
  }

  /** The connection ended. */
  lose(): void {
    if (this.settle()) this.lost();
  }

  private begin(ms: number): void {
    const expire = (): void => {
      this.ours = false;
      this.inner.release();
      this.lost();
    };
    this.end = this.environment.clock.after(ms, expire, { background: true });
  }

  private settle(): boolean {
    const { ours } = this;
    this.ours = false;
    this.end();
    return ours;
  }
}
