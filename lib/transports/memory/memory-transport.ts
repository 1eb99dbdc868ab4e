import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { Outgoing } from '../../transport/outgoing.js';
import { publishAll } from '../../transport/publish-all.js';
import type { QueueOperations } from '../../transport/queue-operations.js';
import type { Topology } from '../../transport/topology.js';
import type {
  PublishDone,
  SubscribeHandlers,
  SubscribeOptions,
  Transport,
  TransportEnvironment,
  TransportSubscription,
} from '../../transport/transport.js';
import { FormerQueues } from '../kit/former-queues.js';
import type { Renewal } from '../kit/renewal.js';
import { Backoff } from './backoff.js';
import { DeclaredTopologies } from './declared-topologies.js';
import type { ClientDefaults, MemoryBroker } from './memory-broker.js';
import { memoryCapabilities } from './memory-capabilities.js';
import { MemoryBrowser } from './memory-browser.js';
import { MemoryConnection } from './memory-connection.js';
import type { Session } from './memory-delivery.js';
import { requireInteger } from './memory-options.js';
import { MemoryReplies } from './memory-replies.js';
import { MemorySubscription, type SubscriptionHost } from './memory-subscription.js';
import { PublishChannel } from './publish-channel.js';
import { reasonOf } from './reason.js';

/** What exists from `connect` on. */
interface Started {
  readonly environment: TransportEnvironment;
  readonly connection: MemoryConnection;
  readonly looking: Renewal;
}

/** One application's connection to a memory broker. Made by `memory()`. */
export class MemoryTransport implements Transport {
  readonly system = 'memory';
  readonly host = 'memory';
  readonly capabilities: TransportCapabilities;
  readonly queues: QueueOperations = {
    compare: async (topologies) => {
      if (this.session) this.broker.compare(topologies, this.defaults);
    },
    depth: (queue) => this.depth(queue),
    browse: (queue, rest) => this.browse(queue, rest as MemoryBrowser | undefined),
    unbind: (topology) => this.unbind(topology),
  };
  readonly replies: MemoryReplies;
  private readonly defaults: ClientDefaults;
  private readonly channel: PublishChannel;
  private readonly declared = new DeclaredTopologies();
  /** Queues that were freed of what an earlier application had bound. */
  private readonly compared = new Set<string>();
  private readonly subscriptions = new Set<MemorySubscription>();
  private started: Started | undefined;
  private closed = false;

  constructor(
    private readonly broker: MemoryBroker,
    topic: string,
    maxBytes: number,
  ) {
    this.defaults = { topic, deadLetterTopic: `${topic}.dlx`, maxBytes };
    this.capabilities = memoryCapabilities(maxBytes);
    this.replies = new MemoryReplies(
      broker.replies,
      maxBytes,
      async (outgoing) => (await publishAll(this, [outgoing]))[0],
    );
    this.channel = new PublishChannel(
      broker,
      this.defaults,
      () => this.environment,
      (message) => this.warn(message),
    );
  }

  async connect(environment: TransportEnvironment): Promise<void> {
    if (this.closed) throw new NotConnectedError('The transport is closed');
    if (this.started) return;
    const connection = new MemoryConnection(this.broker, environment, {
      up: (session, blockedBy) => this.up(session, blockedBy),
      down: (reason, session) => this.down(reason, session),
      blocked: (reason) => this.setBlocked(reason),
    });
    const former = new FormerQueues(
      async (declared) => this.broker.unattended(environment.service).filter(({ queue }) => !declared.has(queue)),
      (message) => this.warn(message),
    );
    const looking = former.lookLater(environment, () => new Set(this.declared.all().map(({ queue }) => queue)));
    this.started = { environment, connection, looking };
    connection.open();
  }

  async declare(topology: Topology): Promise<void> {
    this.requireOpen();
    if (this.session) this.makeExist(topology);
    this.declared.remember(topology);
  }

  publish(batch: readonly Outgoing[], done: PublishDone): void {
    this.channel.publish(batch, done);
  }

  async subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
    this.requireOpen();
    const prefetch = requireInteger('prefetch', options.prefetch, 1);
    const subscription = new MemorySubscription(options.topology.queue, prefetch, handlers, this.subscriptionHost());
    this.subscriptions.add(subscription);
    try {
      if (this.session) subscription.attach();
    } catch (error) {
      this.subscriptions.delete(subscription);
      throw error;
    }
    return subscription;
  }

  private async unbind(topology: Topology): Promise<void> {
    this.declared.forgetPatterns(topology);
    if (this.session) this.broker.unbind(topology, this.defaults);
    else this.declared.unbindLater(topology);
  }

  private async depth(queue: string): Promise<number | undefined> {
    this.requireSession();
    return this.broker.queue(queue)?.ready;
  }

  /** Rejects with TopologyMismatchError when there is no such queue. */
  private async browse(name: string, rest: MemoryBrowser | undefined): Promise<MemoryBrowser> {
    const session = this.requireSession();
    const queue = this.broker.queue(name);
    if (!queue) throw new TopologyMismatchError(`There is no queue «${name}» to read`);
    return new MemoryBrowser(queue, session, () => this.session === session, rest);
  }

  async probe(): Promise<void> {
    this.requireSession();
  }

  /** The MemoryBroker. */
  native(): MemoryBroker {
    return this.broker;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const isConnected = this.session !== undefined;
    this.started?.looking.stop();
    this.started?.connection.close();
    this.channel.close('closed');
    for (const subscription of [...this.subscriptions]) await subscription.stop();
    if (isConnected) for (const { queue, exclusive } of this.declared.all()) if (exclusive) this.broker.delete(queue);
  }

  private get session(): Session | undefined {
    return this.started?.connection.session;
  }

  private get environment(): TransportEnvironment {
    if (!this.started) throw new NotConnectedError('The transport was not asked to connect yet');
    return this.started.environment;
  }

  private requireOpen(): void {
    if (this.closed) throw new NotConnectedError('The transport is closed');
  }

  private requireSession(): Session {
    const { session } = this;
    if (!session) throw new NotConnectedError('There is no connection to the broker');
    return session;
  }

  /** Throws TopologyMismatchError. */
  private makeExist(topology: Topology): void {
    const provision = topology.provision && this.environment.provision;
    this.broker.declare(topology, this.defaults, this.environment.service, provision);
    if (!provision || this.compared.has(topology.queue)) return;
    this.compared.add(topology.queue);
    this.broker.unbindFormer(topology, this.defaults);
  }

  /** Topology first, then consumers; publishers last, so that what they resend finds its queues. */
  private up(session: Session, blockedBy: string | undefined): void {
    for (const topology of this.declared.all()) {
      try {
        this.makeExist(topology);
      } catch (error) {
        this.warn(reasonOf(error));
      }
    }
    for (const topology of this.declared.takeUnbound()) this.broker.unbind(topology, this.defaults);
    for (const subscription of [...this.subscriptions]) if (this.session === session) subscription.recover();
    if (this.session !== session) return;
    this.channel.open();
    this.replies.up();
    if (blockedBy !== undefined) this.channel.setBlocked(true);
    this.environment.onEvent({ type: 'connected' });
    if (blockedBy !== undefined && this.session === session)
      this.environment.onEvent({ type: 'blocked', reason: blockedBy });
  }

  private down(reason: string, session: Session | undefined): void {
    this.channel.close(reason);
    this.replies.down(reason);
    if (!this.closed) this.environment.onEvent({ type: 'disconnected', reason });
    for (const subscription of [...this.subscriptions]) subscription.disconnected(reason);
    session?.end();
  }

  private setBlocked(reason: string | undefined): void {
    this.channel.setBlocked(reason !== undefined);
    this.environment.onEvent(reason === undefined ? { type: 'unblocked' } : { type: 'blocked', reason });
  }

  private warn(message: string): void {
    this.environment.onEvent({ type: 'warning', message });
  }

  private subscriptionHost(): SubscriptionHost {
    const { clock, reconnect, random } = this.environment;
    const session = (): Session | undefined => this.session;
    return {
      get session() {
        return session();
      },
      queue: (name) => this.broker.queue(name),
      redeclare: (queue) => this.declared.of(queue).forEach((topology) => this.makeExist(topology)),
      newBackoff: () => new Backoff(reconnect, random),
      after: (delayMs, callback) => clock.after(delayMs, callback),
      warn: (message) => this.warn(message),
      forget: (subscription) => void this.subscriptions.delete(subscription),
    };
  }
}
