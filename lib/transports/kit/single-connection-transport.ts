import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { PublishFailedError } from '../../errors/publish-errors.js';
import type { Outgoing } from '../../transport/outgoing.js';
import type { Topology } from '../../transport/topology.js';
import type {
  PublishDone,
  SubscribeHandlers,
  SubscribeOptions,
  TransportEnvironment,
  TransportSubscription,
} from '../../transport/transport.js';
import { type AskedOn, BrokerTransport } from './broker-transport.js';
import { FormerQueues, type UnattendedQueue } from './former-queues.js';
import type { Renewal } from './renewal.js';
import type { ReplyInbox } from './reply-inbox.js';
import { Subscriptions } from './subscriptions.js';
import { type Dialer, SupervisedConnection } from './supervised-connection.js';
import type { ConsumerSession } from './supervised-consumer.js';

/** Sends what is published over one connection. */
export interface LinkPublisher<L extends object> {
  /** Each message has one result, never from within the call; without a link it fails at once. */
  publish(batch: readonly Outgoing[], done: PublishDone): void;
  /** A link stands. */
  open?(link: L): void;
  /** The link is gone, and what was under way on it has failed. */
  end(reason: string): void;
  /** A queue was declared or unbound. */
  forgetRoutes?(): void;
  close(): Promise<void>;
}

/** Makes queues, and what leads to them. `Made`: what a session has to know of its queue. */
export interface QueueMaker<L extends object, Made> {
  /** Makes the topology exist. Rejects with a MessagingError where that can never be. */
  declare(link: L, topology: Topology): Promise<Made>;
  /** Takes the bindings of a queue away. */
  unbind(link: L, topology: Topology): Promise<void>;
  /** Rejects with one TopologyMismatchError that tells all that exists with other arguments. */
  compare(link: L, topologies: readonly Topology[]): Promise<void>;
  /** Deletes a queue with its messages. */
  remove(link: L, queue: string): Promise<unknown>;
  /** Queues of this service, not in `declared`, that hold something and that nobody consumes. Absent where nobody can tell. */
  unattended?(link: L, declared: ReadonlySet<string>): Promise<readonly UnattendedQueue[]>;
}

/** What is the broker's. */
export interface OwnParts<L extends object, Made> {
  readonly publisher: LinkPublisher<L>;
  readonly queues: QueueMaker<L, Made>;
  /** What nobody waits for; from `connect` until the consumers are closed. */
  readonly upkeep?: { start(): void; stop(): void };
}

/** What is the kit's. */
export interface LinkParts<L extends object, S extends ConsumerSession, Made> extends AskedOn<L> {
  readonly environment: TransportEnvironment;
  readonly subscriptions: Subscriptions<L, S, Made>;
  /** `reason`: connecting failed once more, because of this. */
  readonly warn: (message: string, reason?: string) => void;
  /** Looks after queues of removed subscriptions. */
  readonly looking: Renewal;
}

/** One attachment of a consumer to its queue. */
export interface Attachment<L extends object, Made> {
  readonly link: L;
  readonly made: Made;
  readonly queue: string;
  readonly prefetch: number;
  readonly handlers: SubscribeHandlers;
}

/** A transport that does everything over one supervised connection: what it tells of that, and how its parts work together. */
export abstract class SingleConnectionTransport<
  Own extends OwnParts<L, Made>,
  L extends object,
  S extends ConsumerSession,
  Made = unknown,
> extends BrokerTransport<Own & LinkParts<L, S, Made>, L> {
  /** Takes and sends replies. Absent where nobody can ask. */
  readonly replies?: ReplyInbox<L>;
  /** `close` of a session gives back in one step and to the old place. */
  protected readonly givesBackAtOnce: boolean = true;
  protected readonly closeWithinMs?: number;

  /** Called before the parts exist, which its links may ask for by `connected`. */
  protected abstract dialer(environment: TransportEnvironment): Dialer<L>;
  protected abstract build(parts: LinkParts<L, S, Made>): Own;
  /** A session that does not consume yet. */
  protected abstract attach(attachment: Attachment<L, Made>): S;

  async declare(topology: Topology): Promise<void> {
    const { subscriptions, publisher } = this.connected();
    await subscriptions.declare(topology);
    publisher.forgetRoutes?.();
  }

  protected assemble(environment: TransportEnvironment): Own & LinkParts<L, S, Made> {
    const warn = (message: string, reason?: string): void =>
      environment.onEvent({ type: 'warning', message, ...(reason !== undefined && { reason }) });
    const connection: SupervisedConnection<L> = new SupervisedConnection(this.dialer(environment), environment, {
      opened: (link) => {
        own.publisher.open?.(link);
        this.replies?.up(link, environment.clock);
        environment.onEvent({ type: 'connected' });
      },
      lost: (reason) => {
        own.publisher.end(reason);
        this.replies?.down(reason);
        if (!this.isClosing) environment.onEvent({ type: 'disconnected', reason });
        subscriptions.lost(reason);
      },
      warning: warn,
    });
    const subscriptions = new Subscriptions<L, S, Made>({
      connection,
      environment,
      givesBackAtOnce: this.givesBackAtOnce,
      closeWithinMs: this.closeWithinMs,
      make: (link, topology) => this.ours(connection, own.queues.declare(link, topology)),
      remove: (link, queue) => own.queues.remove(link, queue),
    });
    const parts = { environment, connection, subscriptions, warn, looking: this.look(subscriptions, environment) };
    const own = this.build(parts);
    own.upkeep?.start();
    return { ...own, ...parts };
  }

  protected send({ publisher }: Own, batch: readonly Outgoing[], done: PublishDone): void {
    publisher.publish(batch, done);
  }

  protected consume(
    { subscriptions }: LinkParts<L, S, Made>,
    options: SubscribeOptions,
    handlers: SubscribeHandlers,
  ): Promise<TransportSubscription> {
    const { queue } = options.topology;
    return subscriptions.consume(options, handlers, (link, made, prefetch) =>
      this.attach({ link, made, queue, prefetch, handlers }),
    );
  }

  protected async end(parts: Own & LinkParts<L, S, Made>): Promise<void> {
    const { looking, subscriptions, upkeep, publisher, connection } = parts;
    looking.stop();
    await subscriptions.close();
    upkeep?.stop();
    this.replies?.down('The transport is closed');
    await Promise.all([publisher.close(), connection.close()]);
  }

  protected async unbind(topology: Topology): Promise<void> {
    const { subscriptions, queues, publisher } = this.connected();
    subscriptions.declared.set(topology.queue, { ...topology, patterns: [] });
    await this.ask((link) => queues.unbind(link, topology));
    publisher.forgetRoutes?.();
  }

  /** While there is no connection, and for a passing reason, nothing is told: the declaration will. */
  protected async compare(topologies: readonly Topology[]): Promise<void> {
    const { connection, queues } = this.connected();
    const link = connection.current;
    if (!link) return;
    await queues.compare(link, topologies).catch((error: unknown) => {
      if (error instanceof TopologyMismatchError) throw error;
    });
  }

  /** An error of the client becomes ours, without credentials. */
  private async ours<T>(connection: SupervisedConnection<L>, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (typeof (error as MessagingError).retryable === 'boolean') throw error;
      throw new PublishFailedError(`${this.brokerName} did not do it: ${connection.describe(error)}`);
    }
  }

  private look(subscriptions: Subscriptions<L, S, Made>, environment: TransportEnvironment): Renewal {
    const unattended = (declared: ReadonlySet<string>): Promise<readonly UnattendedQueue[]> =>
      this.ask(async (link) => (await this.connected().queues.unattended?.(link, declared)) ?? []);
    const former = new FormerQueues(unattended, (message) => subscriptions.warn(message));
    return former.lookLater(environment, () => new Set(subscriptions.declared.keys()));
  }
}
