import type { Headers } from '../../../lib/message/headers.js';
import type { MessageProperties, WireMessage } from '../../../lib/message/message.js';
import {
  NotConnectedError,
  PublishFailedError,
  PublishRefusedError,
  UnroutableError,
} from '../../../lib/errors/publish-errors.js';
import type { TransportCapabilities } from '../../../lib/transport/capabilities.js';
import type { Delivery } from '../../../lib/transport/delivery.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../../lib/transport/outgoing.js';
import type { Browser, QueueOperations } from '../../../lib/transport/queue-operations.js';
import type { Partitioning, Topology } from '../../../lib/transport/topology.js';
import type {
  PublishDone,
  SubscribeHandlers,
  SubscribeOptions,
  Transport,
  TransportEnvironment,
  TransportEvent,
  TransportFactory,
  TransportSubscription,
} from '../../../lib/transport/transport.js';

export const failed = (why = 'nacked'): PublishResult => ({ status: 'failed', error: new PublishFailedError(why) });
export const nacked = (why = 'a queue is full'): PublishResult => ({
  status: 'failed',
  error: new PublishFailedError(why),
  nacked: true,
});
export const missing = (what = 'a delay level'): PublishResult => ({
  status: 'failed',
  error: new PublishFailedError(`${what} does not exist`),
  missing: true,
});
export const unroutable = (why = 'no queue takes it'): PublishResult => ({
  status: 'unroutable',
  error: new UnroutableError(why),
});
export const refused = (why = 'not like this'): PublishResult => ({
  status: 'refused',
  error: new PublishRefusedError(why),
});
export { CONFIRMED as confirmed };

interface Pending {
  readonly outgoing: Outgoing;
  readonly done: PublishDone;
}

/** A transport that does what its test says: it keeps what is published and answers when it is told to. */
export class FakeTransport implements Transport, TransportFactory {
  readonly system: string = 'fake';
  readonly host = 'fake-host';
  readonly capabilities: TransportCapabilities;
  readonly batches: (readonly Outgoing[])[] = [];
  readonly pending: Pending[] = [];
  readonly declared: Topology[] = [];
  readonly unbound: Topology[] = [];
  readonly subscriptions: FakeSubscription[] = [];
  readonly stored = new Map<string, WireMessage[]>();
  queues?: QueueOperations = {
    depth: (queue) => this.depth(queue),
    browse: (queue, rest) => this.browse(queue, rest),
    unbind: (topology) => this.unbind(topology),
    compare: async () => {},
    undeliverable: () => this.undeliverableCount,
  };
  readonly partitioning?: Partitioning;
  /** Breaches of what core promises to a transport. */
  readonly breaches: string[] = [];
  /** Answers at once what it returns a result for. */
  answer: (outgoing: Outgoing) => PublishResult | undefined = () => undefined;
  onSubscribe: () => Promise<void> = () => Promise.resolve();
  closed = 0;
  undeliverableCount = 0;
  state: 'connected' | 'disconnected' | 'blocked' = 'disconnected';
  environment!: TransportEnvironment;

  constructor(capabilities: Partial<TransportCapabilities> = {}) {
    this.capabilities = {
      durable: true,
      retry: 'copy',
      wildcards: true,
      ackTimeoutName: 'consumer_timeout',
      keyOrder: 'none',
      maxDelayMs: 2 ** 31,
      leaseMs: Infinity,
      maxBytes: 2 ** 20,
      ...capabilities,
    };
  }

  create(): this {
    return this;
  }

  async connect(environment: TransportEnvironment): Promise<void> {
    this.environment = environment;
  }

  async declare(topology: Topology): Promise<void> {
    this.declared.push(topology);
  }

  async unbind(topology: Topology): Promise<void> {
    this.unbound.push(topology);
  }

  publish(batch: readonly Outgoing[], done: PublishDone): void {
    this.batches.push([...batch]);
    for (const outgoing of batch) {
      const { id } = outgoing.message;
      if (this.pending.some(({ outgoing: other }) => other === outgoing))
        this.breaches.push(`${id} is sent while an earlier copy is unresolved`);
      if (this.state === 'blocked') this.breaches.push(`${id} is sent while the broker blocks`);
      this.pending.push({ outgoing, done });
      const result =
        this.state === 'disconnected'
          ? ({ status: 'failed', error: new NotConnectedError('not connected') } as const)
          : this.answer(outgoing);
      if (result) queueMicrotask(() => this.resolve(outgoing, result));
    }
  }

  async subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<FakeSubscription> {
    await this.onSubscribe();
    const subscription = new FakeSubscription(options, handlers);
    this.subscriptions.push(subscription);
    handlers.state(true);
    return subscription;
  }

  async depth(queue: string): Promise<number | undefined> {
    if (this.state === 'disconnected') throw new NotConnectedError('not connected');
    return this.stored.get(queue)?.length;
  }

  async browse(queue: string, rest?: Browser): Promise<Browser> {
    return new FakeBrowser(this.stored.get(queue) ?? [], queue, rest as FakeBrowser | undefined);
  }

  async probe(): Promise<void> {}

  native(): unknown {
    return this;
  }

  async close(): Promise<void> {
    this.closed++;
  }

  // What the test tells it

  emit(event: TransportEvent): void {
    if (event.type !== 'warning' && event.type !== 'unblocked') this.state = event.type;
    if (event.type === 'unblocked') this.state = 'connected';
    this.environment.onEvent(event);
  }

  connected(): void {
    this.emit({ type: 'connected' });
  }

  blocked(reason = 'low on memory'): void {
    this.emit({ type: 'blocked', reason });
  }

  unblocked(): void {
    this.emit({ type: 'unblocked' });
  }

  /** The connection ends, and with it everything under way. */
  disconnected(reason = 'connection reset'): void {
    const lost = this.pending.splice(0);
    this.emit({ type: 'disconnected', reason });
    for (const { outgoing, done } of lost) done(outgoing, failed(reason));
  }

  /** Everything published so far, oldest first. */
  get published(): Outgoing[] {
    return this.batches.flat();
  }

  get publishedIds(): string[] {
    return this.published.map(({ message }) => message.id);
  }

  get pendingIds(): string[] {
    return this.pending.map(({ outgoing }) => outgoing.message.id);
  }

  get last(): Outgoing {
    return this.published.at(-1)!;
  }

  /** Ends the oldest publish under way, or the one with this id. */
  settle(result: PublishResult, id?: string): void {
    const found = this.pending.find(({ outgoing }) => id === undefined || outgoing.message.id === id);
    if (!found) throw new Error(`Nothing is under way${id === undefined ? '' : ` with the id ${id}`}`);
    this.resolve(found.outgoing, result);
  }

  settleAll(result: PublishResult): void {
    while (this.pending.length > 0) this.settle(result);
  }

  private resolve(outgoing: Outgoing, result: PublishResult): void {
    const at = this.pending.findIndex((one) => one.outgoing === outgoing);
    if (at < 0) return;
    const [{ done }] = this.pending.splice(at, 1);
    done(outgoing, result);
  }
}

/** One consumer of a FakeTransport: the test hands it deliveries. */
export class FakeSubscription implements TransportSubscription {
  consuming = true;
  paused = false;
  stopped = 0;
  onStop: () => Promise<void> = () => Promise.resolve();
  attachAgain?: (reason: string) => void;
  private number = 0;

  constructor(
    readonly options: SubscribeOptions,
    private readonly handlers: SubscribeHandlers,
  ) {}

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  stop(): Promise<void> {
    this.stopped++;
    return this.onStop();
  }

  deliver(what: Partial<FakeDeliveryOptions> = {}): FakeDelivery {
    const { queue } = this.options.topology;
    return this.hand(new FakeDelivery({ id: `m${++this.number}`, queue, ...what }));
  }

  hand(delivery: FakeDelivery): FakeDelivery {
    this.handlers.delivery(delivery);
    return delivery;
  }

  /** The delivery is the broker's again. */
  lose(delivery: FakeDelivery, lateMs?: number): void {
    delivery.lost = true;
    this.handlers.lost(delivery, lateMs);
  }

  state(consuming: boolean, reason?: string): void {
    this.consuming = consuming;
    this.handlers.state(consuming, reason);
  }
}

export interface FakeDeliveryOptions {
  readonly id: string;
  readonly queue: string;
  readonly route: string;
  readonly body: Buffer | string;
  readonly headers: Headers;
  readonly properties: MessageProperties;
  readonly direct: boolean;
  readonly topic: string;
  readonly deliveryCount: number;
}

/** Keeps how it was settled. Settling twice, or after it was lost, is a mistake that it remembers. */
export class FakeDelivery implements Delivery {
  readonly message: WireMessage;
  readonly queue: string;
  readonly direct: boolean;
  readonly topic?: string;
  readonly deliveryCount?: number;
  readonly raw = { raw: true };
  readonly settlements: string[] = [];
  lost = false;

  constructor(options: Partial<FakeDeliveryOptions>) {
    const { id = 'm', route = 'order.created', body = '{"n":1}', headers = {}, properties = {} } = options;
    this.message = { id, route, body: Buffer.from(body as string), headers, properties };
    this.queue = options.queue ?? 'orders:order.created:queue';
    this.direct = options.direct ?? false;
    if (options.topic !== undefined) this.topic = options.topic;
    if (options.deliveryCount !== undefined) this.deliveryCount = options.deliveryCount;
  }

  ack(): void {
    if (!this.lost) this.settlements.push('ack');
  }

  release(delayMs?: number): void {
    if (!this.lost) this.settlements.push(delayMs === undefined ? 'release' : `release ${delayMs}`);
  }

  reject(): void {
    if (!this.lost) this.settlements.push('reject');
  }
}

class FakeBrowser implements Browser {
  private readonly acked = new Set<WireMessage>();
  private readonly end: readonly WireMessage[];
  private at = 0;

  constructor(
    private readonly queue: WireMessage[],
    private readonly name: string,
    rest?: FakeBrowser,
  ) {
    this.end = rest ? rest.end.filter((message) => queue.includes(message)) : [...queue];
  }

  async arrived(): Promise<number> {
    return this.queue.filter((message) => !this.end.includes(message)).length;
  }

  async behind(): Promise<number> {
    const shown = this.end.slice(0, this.at);
    return this.queue.filter((message) => !shown.includes(message)).length;
  }

  async next(): Promise<Delivery | undefined> {
    const message = this.end[this.at++];
    if (!message) return undefined;
    const delivery = new FakeDelivery({ queue: this.name, direct: true, ...message });
    delivery.ack = () => void this.acked.add(message);
    return delivery;
  }

  async close(): Promise<void> {
    this.queue.splice(0, this.queue.length, ...this.queue.filter((message) => !this.acked.has(message)));
  }
}
