import type { Topology } from '../../transport/topology.js';
import type {
  SubscribeHandlers,
  SubscribeOptions,
  TransportEnvironment,
  TransportSubscription,
} from '../../transport/transport.js';
import type { SupervisedConnection } from '../kit/supervised-connection.js';
import { type ConsumerPlan, Subscriptions } from '../kit/subscriptions.js';
import { Binding } from './binding.js';
import { type DelayedStream, FORWARDER } from './delayed-stream.js';
import { declareForwarder, FORWARDER_ACK_WAIT_MS } from './forwarder.js';
import type { Link } from './link.js';
import { tokenOf, type Names } from './names.js';
import type { Settings } from './options.js';
import { PullSession, type SessionOptions } from './pull-session.js';
import type { Queue, Queues } from './queues.js';

/** How long a hung server may keep the consumers open. */
const CONSUMERS_CLOSE_WITHIN_MS = 4_000;
const FORWARDER_PREFETCH = 100;

/** How a consumer of the server is read. `declare` makes it exist and tells since when it does. */
interface Reading extends Omit<SessionOptions, 'clock' | 'created' | 'handlers'> {
  readonly handlers: SubscribeHandlers;
  readonly declare: (link: Link) => Promise<string>;
}

/** The subscriptions of one transport, with what is known of their queues. */
export class ConsumingSide {
  readonly subscriptions: Subscriptions<Link, PullSession>;
  private readonly bindings = new Map<string, Binding>();
  private readonly sessions = new Set<PullSession>();

  constructor(
    private readonly settings: Settings,
    private readonly names: Names,
    private readonly environment: TransportEnvironment,
    private readonly connection: SupervisedConnection<Link>,
    private readonly queues: Queues,
    private readonly delayed: DelayedStream,
  ) {
    this.subscriptions = new Subscriptions({
      connection,
      environment,
      closeWithinMs: CONSUMERS_CLOSE_WITHIN_MS,
      make: (link, topology) => this.make(link, topology),
      remove: (link, queue) => link.manager.consumers.delete(this.names.stream, tokenOf(queue)),
    });
  }

  async unbind(link: Link, topology: Topology): Promise<void> {
    this.subscriptions.declared.set(topology.queue, { ...topology, patterns: [] });
    await this.queues.unbind(link, topology);
    const found = await this.queues.find(link, topology.queue);
    if (found) this.learn(found);
  }

  subscribe({ topology, prefetch }: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
    const { queue } = topology;
    const { declared } = this.subscriptions;
    declared.set(queue, declared.get(queue) ?? topology);
    const plan = this.plan({
      queue,
      stream: this.names.stream,
      consumer: tokenOf(queue),
      prefetch: Math.max(1, prefetch),
      ackWait: this.settings.ackWait,
      handlers,
      binding: () => this.bindings.get(queue),
      declare: (link) => this.make(link, declared.get(queue) ?? topology),
    });
    return this.subscriptions.subscribe(plan);
  }

  /** Starts to look after what is delayed, once. */
  forward(handlers: SubscribeHandlers): void {
    const { names, connection, delayed } = this;
    const { provision } = this.environment;
    const redact = (text: string): string => connection.redact(text);
    this.subscriptions.startOnce(() =>
      this.plan({
        queue: names.delayed,
        stream: names.delayed,
        consumer: FORWARDER,
        prefetch: FORWARDER_PREFETCH,
        ackWait: FORWARDER_ACK_WAIT_MS,
        handlers,
        binding: () => undefined,
        declare: async (link) => {
          if (!provision) await delayed.look(link);
          return declareForwarder(link, names, redact);
        },
      }),
    );
  }

  /** The connection is gone. */
  disconnected(reason: string): void {
    for (const session of [...this.sessions]) session.end(reason);
  }

  private plan({ declare, ...reading }: Reading): ConsumerPlan<Link, PullSession> {
    const { connection, sessions } = this;
    const { clock } = this.environment;
    return {
      queue: reading.queue,
      handlers: reading.handlers,
      ended: () => {},
      open: async (link, previous) => {
        const created = await declare(link);
        if (connection.current !== link) return undefined;
        const session = new PullSession(link, { ...reading, created, clock });
        sessions.add(session);
        void session.ended.then(() => sessions.delete(session));
        if (previous) await session.recover(previous);
        return session;
      },
    };
  }

  private async make(link: Link, topology: Topology): Promise<string> {
    const queue = await this.queues.declare(link, topology);
    this.learn(queue);
    return queue.info.created;
  }

  private learn({ record }: Queue): void {
    this.bindings.set(record.queue, new Binding(record, this.names));
  }
}
