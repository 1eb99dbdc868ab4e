import type { Delivery } from '../transport/delivery.js';
import type { Transport, TransportSubscription } from '../transport/transport.js';

interface IntakeDelivery {
  readonly held: Set<Delivery>;
  readonly subscription: Promise<TransportSubscription>;
}

/** Dead-letter queues that cannot be looked into: what is in them is consumed, and held until it is kept. */
export class DeadLetterIntake {
  private readonly consumed = new Map<string, IntakeDelivery>();

  constructor(
    private readonly transport: Transport,
    /** The most that is held of a queue. */
    private readonly most: number,
    private readonly came: () => void,
  ) {}

  /** What has come of a queue, and is still ours; from the first call on it is consumed. */
  async held(queue: string): Promise<readonly Delivery[]> {
    let consumed = this.consumed.get(queue);
    if (!consumed) this.consumed.set(queue, (consumed = this.consume(queue)));
    try {
      await consumed.subscription;
    } catch (error) {
      this.consumed.delete(queue);
      throw error;
    }
    return [...consumed.held];
  }

  /** Acks what is kept. */
  kept(queue: string, deliveries: readonly Delivery[]): void {
    const { held } = this.consumed.get(queue)!;
    for (const delivery of deliveries) if (held.delete(delivery)) delivery.ack();
  }

  /** What is held goes back to the broker with the end of the connection. */
  async stop(): Promise<void> {
    const all = [...this.consumed.values()];
    this.consumed.clear();
    await Promise.all(all.map(({ subscription }) => subscription.then((one) => one.stop()).catch(() => undefined)));
  }

  private consume(queue: string): IntakeDelivery {
    const held = new Set<Delivery>();
    const topology = { queue, patterns: [], provision: false };
    const subscription = this.transport.subscribe(
      { topology, prefetch: this.most },
      {
        delivery: (delivery) => {
          held.add(delivery);
          this.came();
        },
        lost: (delivery) => void held.delete(delivery),
        state: () => undefined,
      },
    );
    return { held, subscription };
  }
}
