import { sleep } from '../../clock/sleep.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { reconnectDelay } from '../../transport/reconnect-delay.js';
import type { Topology } from '../../transport/topology.js';
import type { SubscribeHandlers, SubscribeOptions, TransportEnvironment } from '../../transport/transport.js';
import type { SupervisedConnection } from './supervised-connection.js';
import { type ConsumerSession, SupervisedConsumer, type SupervisedConsumerOptions } from './supervised-consumer.js';

const CLOSE_WITHIN_MS = 4_000;

export interface SubscriptionsParts<L extends object, Made = unknown> {
  readonly connection: SupervisedConnection<L>;
  readonly environment: TransportEnvironment;
  /** How long a hung broker may keep the consumers open, in milliseconds. Default 4,000. */
  readonly closeWithinMs?: number;
  /** Of sessions that `consume` attaches: see the plan of a consumer. Default true. */
  readonly givesBackAtOnce?: boolean;
  /** Makes a topology exist, and tells what its sessions have to know of it. Rejects with a MessagingError. */
  readonly make: (link: L, topology: Topology) => Promise<Made>;
  /** Deletes a queue with its messages. */
  readonly remove: (link: L, queue: string) => Promise<unknown>;
}

/** What makes a consumer, but for what all consumers of a connection share. */
export type ConsumerPlan<L extends object, S extends ConsumerSession> = Omit<
  SupervisedConsumerOptions<L, S>,
  'connection' | 'environment'
>;

/** The consumers of one connection, and the topologies that come back with it. */
export class Subscriptions<L extends object, S extends ConsumerSession, Made = unknown> {
  /** Made to exist again on each new link. */
  readonly declared = new Map<string, Topology>();
  private readonly consumers = new Set<SupervisedConsumer<L, S>>();
  private readonly attached = new Set<S>();
  /** Queues that end with this process. */
  private readonly exclusive = new Set<string>();
  private closing = false;
  private started = false;

  constructor(private readonly options: SubscriptionsParts<L, Made>) {}

  /** Those that have not ended. */
  get sessions(): ReadonlySet<S> {
    return this.attached;
  }

  /** Resolves when the queue exists, or cannot yet. Rejects when it can never be: then it is not remembered. */
  async declare(topology: Topology): Promise<void> {
    this.declared.set(topology.queue, topology);
    if (topology.exclusive) this.exclusive.add(topology.queue);
    const link = this.options.connection.current;
    if (!link) return;
    try {
      await this.options.make(link, topology);
    } catch (error) {
      const { retryable, message } = error as MessagingError;
      if (!retryable) {
        if (this.declared.get(topology.queue) === topology) this.declared.delete(topology.queue);
        throw error;
      }
      this.warn(message);
      this.declareLater(link, topology, 1);
    }
  }

  /** On a new link, also before it is given out. What cannot be declared is told, and does not keep the rest from it. */
  async redeclare(link: L): Promise<void> {
    for (const topology of [...this.declared.values()]) {
      await this.options.make(link, topology).catch((error: Error) => {
        this.warn(error.message);
        this.declareLater(link, topology, 1);
      });
    }
  }

  /** Resolves when the consumer consumes, or cannot yet. Rejects on a misconfiguration; then there is no consumer. */
  async subscribe(plan: ConsumerPlan<L, S>): Promise<SupervisedConsumer<L, S>> {
    const consumer = this.add(plan);
    try {
      await consumer.start();
    } catch (error) {
      this.consumers.delete(consumer);
      throw error;
    }
    return consumer;
  }

  /** Consumes a queue that is made to exist before each attachment. `attach`: a session that does not consume yet. */
  consume(
    { topology, prefetch }: SubscribeOptions,
    handlers: SubscribeHandlers,
    attach: (link: L, made: Made, prefetch: number) => S,
  ): Promise<SupervisedConsumer<L, S>> {
    const { queue } = topology;
    const wanted = (): Topology => this.declared.get(queue) ?? topology;
    this.declared.set(queue, wanted());
    return this.subscribe({
      queue,
      handlers,
      givesBackAtOnce: this.options.givesBackAtOnce ?? true,
      ended: () => {},
      open: this.opening(
        (link) => this.options.make(link, wanted()),
        (link, made) => attach(link, made, Math.max(1, prefetch)),
      ),
    });
  }

  /** `open` of a plan: a session is attached to what was declared on the link, and goes on where an earlier one ended. */
  opening<T>(declare: (link: L) => Promise<T>, attach: (link: L, declared: T) => S): ConsumerPlan<L, S>['open'] {
    return async (link, previous) => {
      const declared = await declare(link);
      if (this.options.connection.current !== link) return undefined;
      const session = attach(link, declared);
      this.attached.add(session);
      void session.ended.then(() => this.attached.delete(session));
      if (previous) await session.recover?.(previous);
      return session;
    };
  }

  /** The connection is gone, and every session with it. */
  lost(reason: string): void {
    for (const session of [...this.attached]) {
      if (session.disconnected) session.disconnected(reason);
      else session.giveUp(reason);
    }
  }

  /** For the one consumer that is the transport's own, whoever needs it first. */
  startOnce(plan: () => ConsumerPlan<L, S>): void {
    if (this.started || this.closing) return;
    this.started = true;
    this.add(plan()).startInBackground();
  }

  /** What is unsettled goes back to the broker; what was settled gets there first. */
  async close(): Promise<void> {
    this.closing = true;
    this.declared.clear();
    const closed = new AbortController();
    void Promise.all([...this.consumers].map((consumer) => consumer.close()))
      .then(() => this.removeExclusive())
      .finally(() => closed.abort());
    await sleep(this.options.environment.clock, this.options.closeWithinMs ?? CLOSE_WITHIN_MS, closed.signal);
  }

  /** Where that fails the broker deletes the queues, when nobody has consumed them for a while. */
  private async removeExclusive(): Promise<void> {
    const { connection, remove } = this.options;
    const link = connection.current;
    if (link) await Promise.allSettled([...this.exclusive].map((queue) => remove(link, queue)));
  }

  warn(message: string, reason?: string): void {
    // Whatever fails now fails because we are closing.
    if (this.closing) return;
    this.options.environment.onEvent({ type: 'warning', message, ...(reason !== undefined && { reason }) });
  }

  private add(plan: ConsumerPlan<L, S>): SupervisedConsumer<L, S> {
    const { connection, environment } = this.options;
    const ended = (): void => {
      this.consumers.delete(consumer);
      plan.ended();
    };
    const consumer = new SupervisedConsumer<L, S>({ ...plan, connection, environment, ended });
    this.consumers.add(consumer);
    return consumer;
  }

  /** Goes on trying as long as the link is there: with the next one the queue is declared anyway. */
  private declareLater(link: L, topology: Topology, failures: number): void {
    const { connection, environment, make } = this.options;
    const again = (): void => {
      if (connection.current !== link || this.declared.get(topology.queue) !== topology) return;
      make(link, topology).catch(() => this.declareLater(link, topology, failures + 1));
    };
    const { clock, reconnect, random } = environment;
    clock.after(reconnectDelay(reconnect, failures, random), again, { background: true });
  }
}
