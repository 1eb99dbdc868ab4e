import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { WireMessage } from '../../message/message.js';
import type { Destination, Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { QueueOperations } from '../../transport/queue-operations.js';
import type { Topology } from '../../transport/topology.js';
import type { Transport, TransportEvent } from '../../transport/transport.js';
import { Consumer, type ConsumerOptions, type ReceivedDelivery } from './consumer.js';
import type { CaseScope } from './case-scope.js';

/** Marks the messages that only show how far a queue has been read. */
const FENCE = 'fence';
/** So many markers with nothing between them end the reading of a queue whose messages overtake each other. */
const QUIET_FENCES = 3;
/** A transport that fails more often than this while it says it is connected is not going to recover. */
const MAX_RESENDS = 500;

export function isFence(message: WireMessage): boolean {
  return message.route === FENCE;
}

/** One transport under test and what it has told. */
export class Client {
  readonly events: TransportEvent[] = [];
  private readonly consumers: Consumer[] = [];
  private lastFailure?: string;

  constructor(
    private readonly scope: CaseScope,
    readonly transport: Transport,
  ) {}

  /** Of cases that need `queues`. */
  get queues(): QueueOperations {
    const { queues } = this.transport;
    assert.ok(queues, 'the transport has no queues: its harness has to say so («lacks»)');
    return queues;
  }

  onEvent(event: TransportEvent): void {
    this.events.push(event);
    this.scope.signal.fire();
  }

  count(type: TransportEvent['type']): number {
    return this.events.filter((event) => event.type === type).length;
  }

  /** What the transport has reported, and the last publish that failed, in words. */
  told(): string {
    const events = this.events.map((event) => ('message' in event ? `${event.type} «${event.message}»` : event.type));
    return `events: ${events.join(', ') || 'none'}; last failed publish: ${this.lastFailure ?? 'none'}`;
  }

  /** Waits until the last word on the connection is `connected`. */
  async connected(): Promise<void> {
    const state = (): string | undefined =>
      this.events.filter(({ type }) => type === 'connected' || type === 'disconnected').at(-1)?.type;
    await this.scope.eventually(
      () => state() === 'connected',
      () => `the event «connected» (seen: ${this.events.map(({ type }) => type).join(', ') || 'none'})`,
    );
  }

  /** The event, waited for. */
  async event(type: TransportEvent['type']): Promise<void> {
    await this.scope.eventually(() => this.count(type) > 0, `the event «${type}»`);
  }

  message(fields: Partial<WireMessage> = {}): WireMessage {
    return {
      id: randomUUID(),
      route: this.scope.route('message'),
      body: Buffer.from('{"hello":"world"}'),
      headers: {},
      properties: { contentType: 'application/json' },
      ...fields,
    };
  }

  outgoing(to: Destination, fields: Partial<WireMessage> = {}, more: Partial<Outgoing> = {}): Outgoing {
    const route = to.kind === 'route' ? { route: to.route } : {};
    const message = this.message({ ...route, ...fields });
    return { to, message, dedupeId: randomUUID(), mandatory: true, ...more };
  }

  toRoute(route: string, fields?: Partial<WireMessage>, more?: Partial<Outgoing>): Outgoing {
    return this.outgoing({ kind: 'route', route }, fields, more);
  }

  toQueue(queue: string, fields?: Partial<WireMessage>, more?: Partial<Outgoing>): Outgoing {
    return this.outgoing({ kind: 'queue', queue }, fields, more);
  }

  /** Hands a batch to the transport and watches how `done` is called. */
  start(batch: readonly Outgoing[]): Map<Outgoing, PublishResult> {
    const results = new Map<Outgoing, PublishResult>();
    let within = true;
    this.transport.publish(batch, (outgoing, result) => {
      if (within) this.scope.violation('done() was called from within publish()');
      if (!batch.includes(outgoing)) this.scope.violation('done() was given an object that is not of its batch');
      if (results.has(outgoing)) this.scope.violation(`done() was called again for ${outgoing.message.id}`);
      else results.set(outgoing, result);
      if (result.status !== 'confirmed') this.lastFailure = `${outgoing.message.id} ${String(result.error)}`;
      this.scope.signal.fire();
    });
    within = false;
    return results;
  }

  /** The results of a batch, in its order. */
  async publish(...batch: readonly Outgoing[]): Promise<PublishResult[]> {
    const results = this.start(batch);
    await this.scope.eventually(
      () => results.size === batch.length,
      () => `a result for each of ${batch.length} messages (have ${results.size})`,
    );
    return batch.map((outgoing) => results.get(outgoing) as PublishResult);
  }

  /** Publishes what has to be confirmed. */
  async confirmed(...batch: readonly Outgoing[]): Promise<void> {
    for (const result of await this.publish(...batch)) {
      assert.equal(result.status, 'confirmed', 'error' in result ? String(result.error) : undefined);
    }
  }

  /** Publishes as core does: what failed for a passing reason is sent again, the same message, until it is taken. */
  async insist(...batch: readonly Outgoing[]): Promise<void> {
    let open = [...batch];
    for (let attempts = 0; open.length > 0; attempts++) {
      assert.ok(attempts < MAX_RESENDS, `${open.length} messages still fail after ${attempts} resends`);
      const results = await this.publish(...open);
      const failed = open.filter((_, index) => results[index]?.status === 'failed');
      assert.equal(results.filter(({ status }) => status === 'confirmed').length + failed.length, open.length);
      open = failed;
      if (open.length > 0) await this.connected();
    }
  }

  async declare(topology: Topology): Promise<void> {
    this.scope.declared(topology);
    await this.scope.settled(this.transport.declare(topology), 'declare()');
  }

  async consume(topology: Topology, options: ConsumerOptions & { readonly consuming?: false } = {}): Promise<Consumer> {
    await this.declare(topology);
    const consumer = new Consumer(this.scope, topology.queue, options);
    this.consumers.push(consumer);
    const { prefetch } = consumer;
    consumer.subscription = await this.scope.settled(
      this.transport.subscribe({ topology, prefetch }, consumer.handlers),
      'subscribe()',
    );
    if (options.consuming !== false) await consumer.consuming();
    return consumer;
  }

  /**
   * What the consumer has received and not yet handed out, up to a marker that is sent to its queue now: proof that
   * nothing else was on its way. The consumer has to settle what it gets. Where messages overtake each other, one marker
   * proves little: markers follow until several came with nothing between them.
   */
  async upToFence(consumer: Consumer): Promise<ReceivedDelivery[]> {
    const before: ReceivedDelivery[] = [];
    const quiet = this.scope.harness.lacks?.includes('order') ? QUIET_FENCES : 1;
    for (let left = quiet; left > 0; left--) {
      const found = await this.upToOneFence(consumer);
      before.push(...found);
      if (found.length > 0 && quiet > 1) left = quiet + 1;
    }
    return before;
  }

  private async upToOneFence(consumer: Consumer): Promise<ReceivedDelivery[]> {
    const fence = this.toQueue(consumer.queue, { route: FENCE });
    await this.insist(fence);
    const before: ReceivedDelivery[] = [];
    for (;;) {
      const received = await consumer.next('the fence');
      if (received.message.id === fence.message.id) return before;
      if (!isFence(received.message)) before.push(received);
    }
  }

  async depth(queue: string): Promise<number | undefined> {
    return this.scope.settled(this.queues.depth(queue), 'depth()');
  }

  /** Waits until so many messages are ready in the queue. */
  async depthOf(queue: string, expected: number): Promise<void> {
    let found: number | undefined;
    await this.scope.eventually(
      async () => (found = await this.depth(queue)) === expected,
      () => `${expected} messages in the queue (there are ${found})`,
    );
  }

  async close(): Promise<void> {
    await this.scope.settled(this.transport.close(), 'close()');
    for (const consumer of this.consumers) consumer.end('its transport was closed');
  }
}
