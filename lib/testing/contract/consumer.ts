import type { WireMessage } from '../../message/message.js';
import type { Delivery } from '../../transport/delivery.js';
import type { SubscribeHandlers, TransportSubscription } from '../../transport/transport.js';
import type { CaseScope } from './case-scope.js';

export interface ConsumerOptions {
  readonly prefetch?: number;
  /** `ack` each delivery at once (default), `hold` it until the case settles it, or do something else. */
  readonly settle?: 'ack' | 'hold' | ((received: ReceivedDelivery) => void);
}

/** One delivery as a consumer saw it. */
export class ReceivedDelivery {
  /** When the delivery came, by the harness's clock. */
  readonly at: number;
  state: 'held' | 'settled' | 'lost' = 'held';

  constructor(
    readonly delivery: Delivery,
    private readonly consumer: Consumer,
    at: number,
  ) {
    this.at = at;
  }

  get message(): WireMessage {
    return this.delivery.message;
  }

  get id(): string {
    return this.delivery.message.id;
  }

  ack(): void {
    this.consumer.settle(this, () => this.delivery.ack());
  }

  /** The broker's answer to the ack. */
  ackConfirmed(): Promise<boolean> {
    let answer!: Promise<boolean>;
    this.consumer.settle(this, () => (answer = this.delivery.ackConfirmed!()));
    return answer;
  }

  release(delayMs?: number): void {
    this.consumer.settle(this, () => this.delivery.release(delayMs));
  }
}

/** One subscription under test: it keeps what came, and watches the promises that hold for every subscription. */
export class Consumer {
  readonly received: ReceivedDelivery[] = [];
  readonly states: boolean[] = [];
  readonly prefetch: number;
  subscription!: TransportSubscription;
  private handedOut = 0;
  private ended?: string;
  private onReceived: (received: ReceivedDelivery) => void;

  constructor(
    private readonly scope: CaseScope,
    readonly queue: string,
    { prefetch = 10, settle = 'ack' }: ConsumerOptions,
  ) {
    this.prefetch = prefetch;
    if (settle === 'hold') this.onReceived = () => undefined;
    else this.onReceived = settle === 'ack' ? (received) => received.ack() : settle;
  }

  readonly handlers: SubscribeHandlers = {
    delivery: (delivery) => this.onDelivery(delivery),
    lost: (delivery) => this.onLost(delivery),
    state: (consuming) => {
      this.states.push(consuming);
      this.scope.signal.fire();
    },
  };

  get held(): ReceivedDelivery[] {
    return this.received.filter(({ state }) => state === 'held');
  }

  get lost(): ReceivedDelivery[] {
    return this.received.filter(({ state }) => state === 'lost');
  }

  get ids(): string[] {
    return this.received.map(({ id }) => id);
  }

  /** From now on every delivery is acked at once; those held as well. */
  ackAll(): void {
    this.onReceived = (received) => received.ack();
    for (const received of this.held) received.ack();
  }

  /** The next delivery that was not asked for yet. */
  async next(what = 'a delivery'): Promise<ReceivedDelivery> {
    const index = this.handedOut;
    await this.scope.eventually(
      () => this.received.length > index,
      () => `${what} on ${this.queue} (it has got ${index})`,
    );
    this.handedOut++;
    return this.received[index];
  }

  async take(count: number): Promise<ReceivedDelivery[]> {
    const taken: ReceivedDelivery[] = [];
    while (taken.length < count) taken.push(await this.next(`delivery ${taken.length + 1} of ${count}`));
    return taken;
  }

  /** Waits until the last word on the state is that it consumes. */
  async consuming(): Promise<void> {
    await this.scope.eventually(() => this.states.at(-1) === true, `a consumer on ${this.queue}`);
  }

  async stop(giveBack = false): Promise<void> {
    await this.scope.settled(this.subscription.stop(giveBack), 'stop()');
    this.end('it was stopped');
  }

  pause(): void {
    this.subscription.pause();
    this.end('it was paused');
  }

  resume(): void {
    this.ended = undefined;
    this.subscription.resume();
  }

  /** A delivery from now on is a fault. */
  end(why: string): void {
    this.ended = why;
  }

  settle(received: ReceivedDelivery, settle: () => unknown): void {
    if (received.state === 'held') received.state = 'settled';
    settle();
  }

  private onDelivery(delivery: Delivery): void {
    const received = new ReceivedDelivery(delivery, this, this.scope.now);
    this.received.push(received);
    if (this.ended) this.scope.violation(`A delivery came to a consumer after ${this.ended}`);
    if (this.held.length > this.prefetch) {
      this.scope.violation(`${this.held.length} unsettled deliveries with a prefetch of ${this.prefetch}`);
    }
    this.onReceived(received);
    this.scope.signal.fire();
  }

  private onLost(delivery: Delivery): void {
    const received = this.received.find((candidate) => candidate.delivery === delivery);
    if (!received) this.scope.violation('lost() was called for something that was never delivered');
    else if (received.state === 'lost') this.scope.violation('lost() was called twice for one delivery');
    else if (received.state === 'held') received.state = 'lost';
    this.scope.signal.fire();
  }
}
