import { InvalidOptionError, SubscriptionConflictError } from '../errors/configuration-errors.js';
import { toldTogether } from '../errors/told-together.js';
import { Consumer, type ConsumerEnvironment } from './consumer.js';
import type { SettlementFollower } from './consumer-reports.js';
import type { HandledSubscription } from './subscription/handled.js';
import { PartitionedConsumer } from './partitions/partitioned-consumer.js';
import type { QueueConsumer } from './queue-consumer.js';
import { shared } from './subscription/router.js';
import type { Topology } from '../transport/topology.js';
import { StandstillWatch } from './standstill-watch.js';
import type { SubscriptionDefinition } from './subscription/subscription-definition.js';

/** Every subscription of one connection: one consumer per queue. */
export class ConsumerRegistry implements Iterable<QueueConsumer> {
  private readonly byQueue = new Map<string, QueueConsumer>();
  /** Their intake has ended, and their queue may have another consumer by now; some of their messages are still held. */
  private readonly leaving = new Set<Consumer>();
  private readonly standstills: StandstillWatch;
  private stopping: AbortSignal | undefined;

  constructor(private readonly environment: ConsumerEnvironment) {
    this.standstills = new StandstillWatch(environment, () => this.single());
  }

  [Symbol.iterator](): IterableIterator<QueueConsumer> {
    return this.byQueue.values();
  }

  /** @throws SubscriptionConflictError when the queue has a subscription already */
  add(handled: HandledSubscription): QueueConsumer {
    const { definition } = handled;
    if (!definition.partitioning || 'batchHandler' in handled) return this.addSingle(handled);
    return this.take(definition, () => new PartitionedConsumer({ ...handled, definition }, this.environment));
  }

  /** On one queue, with a follower that is told what becomes of each message. @throws SubscriptionConflictError */
  addSingle(handled: HandledSubscription, follower?: SettlementFollower): Consumer {
    return this.take(handled.definition, () => new Consumer(handled, this.environment, follower));
  }

  /** @throws SubscriptionConflictError when the queue has a subscription already */
  checkFree(definition: SubscriptionDefinition): void {
    const other = this.byQueue.get(definition.topology.queue);
    if (other) {
      throw new SubscriptionConflictError(
        `${shared(other.definition, definition)}: each message would reach only one of them. Give one a «name»`,
      );
    }
  }

  /** The consumers with this subscription name; groups may share one. @throws InvalidOptionError when there is none */
  named(name: string): readonly QueueConsumer[] {
    const found = [...this].filter(({ definition }) => definition.name === name);
    if (found.length > 0) return found;
    const names = [...new Set([...this].map(({ definition }) => definition.name))];
    throw new InvalidOptionError(
      'name',
      name,
      `a subscription of this process: ${names.join(', ') || 'there is none'}`,
    );
  }

  /** Makes what a consumer consumes from exist. One that cannot be declared is taken out again. */
  async declare(consumer: QueueConsumer): Promise<void> {
    try {
      await consumer.declare();
    } catch (error) {
      this.forget(consumer);
      throw error;
    }
  }

  /** Starts a consumer, unless everything is stopping. What cannot start is taken out again. */
  async start(consumer: QueueConsumer): Promise<void> {
    try {
      const { idempotent } = consumer.definition;
      if (idempotent) await this.environment.idempotencyStores.of(idempotent.store).open?.();
      await consumer.start();
    } catch (error) {
      this.forget(consumer);
      throw error;
    }
    if (this.stopping) return consumer.stop(this.stopping);
    this.standstills.start();
  }

  /** All side by side; `others` have no consumer here. @throws every mismatch in one error, else what makes the first impossible one impossible */
  async declareAll(consumers: readonly QueueConsumer[], others: readonly Topology[] = []): Promise<void> {
    const { transport } = this.environment;
    try {
      await transport.queues?.compare([...consumers.map(({ definition }) => definition.topology), ...others]);
    } catch (error) {
      consumers.forEach((consumer) => this.forget(consumer));
      throw error;
    }
    await toldTogether([
      ...consumers.map((consumer) => this.declare(consumer)),
      ...others.map((topology) => transport.declare(topology)),
    ]);
  }

  /** All side by side. @throws what makes the first impossible one impossible */
  async startAll(consumers: readonly QueueConsumer[]): Promise<void> {
    await toldTogether(consumers.map((consumer) => this.start(consumer)));
  }

  async remove(consumer: QueueConsumer, deadline: AbortSignal): Promise<void> {
    await consumer.stop(deadline);
    this.forget(consumer);
  }

  /** Frees the consumer's queue. Resolves when its intake has ended and what has not started is given back. */
  async leave(consumer: Consumer, deadline: AbortSignal): Promise<void> {
    this.forget(consumer);
    this.leaving.add(consumer);
    await consumer.endIntake(deadline);
  }

  /** After `leave`: waits until `deadline` for what is still held, then gives it back. */
  async finish(consumer: Consumer, deadline: AbortSignal): Promise<void> {
    await consumer.stop(deadline);
    this.leaving.delete(consumer);
  }

  /** Stops the intake of all, drains them until `deadline`, gives back the rest. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.stopping = deadline;
    this.standstills.stop();
    await Promise.all([...this, ...this.leaving].map((consumer) => consumer.stop(deadline)));
  }

  /** Of a partition nobody else may tell whether it stands still: its one active consumer may be elsewhere. */
  private single(): Consumer[] {
    return [...this].filter((consumer): consumer is Consumer => consumer instanceof Consumer);
  }

  private take<C extends QueueConsumer>(definition: SubscriptionDefinition, make: () => C): C {
    this.checkFree(definition);
    this.checkDeadLetterRoute(definition);
    const consumer = make();
    this.byQueue.set(consumer.queue, consumer);
    return consumer;
  }

  /** @throws SubscriptionConflictError when a dead letter of one subscription would reach the queue of another as well */
  private checkDeadLetterRoute(own: SubscriptionDefinition): void {
    const { queue, deadLetter } = own.topology;
    for (const { definition } of this.byQueue.values()) {
      const other = definition.topology.deadLetter;
      if (deadLetter && other && other.route === deadLetter.route && other.queue !== deadLetter.queue)
        throw new SubscriptionConflictError(
          `«${queue}» (${nameOf(own)}) and «${definition.topology.queue}» (${nameOf(definition)}) share the dead-letter route «${deadLetter.route}», so each dead letter would be in both «${deadLetter.queue}» and «${other.queue}». Give one another dlq.route, or both the same dlq.queue`,
        );
    }
  }

  /** Another consumer may have taken the place of this one's queue since. */
  private forget(consumer: QueueConsumer): void {
    if (this.byQueue.get(consumer.queue) === consumer) this.byQueue.delete(consumer.queue);
  }
}

function nameOf({ handledBy, name }: SubscriptionDefinition): string {
  return handledBy ?? name;
}
