import { sleep } from '../../clock/sleep.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { reconnectDelay } from '../../transport/reconnect-delay.js';
import type { Topology } from '../../transport/topology.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import type { SupervisedConnection } from './supervised-connection.js';
import { type ConsumerSession, SupervisedConsumer, type SupervisedConsumerOptions } from './supervised-consumer.js';

export interface SubscriptionsParts<L extends object> {
  readonly connection: SupervisedConnection<L>;
  readonly environment: TransportEnvironment;
  /** How long a hung broker may keep the consumers open, in milliseconds. */
  readonly closeWithinMs: number;
  /** Makes a topology exist. Rejects with a MessagingError. */
  readonly make: (link: L, topology: Topology) => Promise<unknown>;
  /** Deletes a queue with its messages. */
  readonly remove: (link: L, queue: string) => Promise<unknown>;
}

/** What makes a consumer, but for what all consumers of a connection share. */
export type ConsumerPlan<L extends object, S extends ConsumerSession> = Omit<
  SupervisedConsumerOptions<L, S>,
  'connection' | 'environment'
>;

/** The consumers of one connection, and the topologies that come back with it. */
export class Subscriptions<L extends object, S extends ConsumerSession> {
  /** Made to exist again on each new link. */
  readonly declared = new Map<string, Topology>();
  private readonly consumers = new Set<SupervisedConsumer<L, S>>();
  /** Queues that end with this process. */
  private readonly exclusive = new Set<string>();
  private closing = false;
  private started = false;

  constructor(private readonly options: SubscriptionsParts<L>) {}

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
    await sleep(this.options.environment.clock, this.options.closeWithinMs, closed.signal);
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
