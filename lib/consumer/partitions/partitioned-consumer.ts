import { readersOf } from '../../pipeline/decode.js';
import { queuesOf } from '../../transport/queue-operations.js';
import { partitionQueue, partitionTopology } from '../../transport/topology.js';
import { type AttemptCount, attemptCountFor } from '../settlement/attempt-count.js';
import { Consumer, type ConsumerEnvironment } from '../consumer.js';
import { Distributor } from './distributor.js';
import type { ConsumerState } from '../gate.js';
import type { HandledSingly } from '../subscription/handled.js';
import { PartitionShare } from './partition-share.js';
import type { QueueConsumer, QueueReport } from '../queue-consumer.js';
import type { SubscriptionDefinition } from '../subscription/subscription-definition.js';

/**
 * A subscription whose queue is split by key. One process moves its messages to the partitions; each partition is a queue
 * with a consumer of its own, in the process that has it at the moment.
 */
export class PartitionedConsumer implements QueueConsumer {
  readonly definition: SubscriptionDefinition;
  private readonly distributor: Distributor;
  private readonly share: PartitionShare;
  private paused = false;
  private stopping = false;

  constructor(
    { definition, handler }: HandledSingly,
    private readonly environment: ConsumerEnvironment,
  ) {
    this.definition = definition;
    const { topology, concurrency, retry, prefetch } = definition;
    const { serializer, transport, clock, log } = environment;
    const tools = readersOf(definition.serializer ?? serializer);
    this.distributor = new Distributor(
      { topology, keyOf: (message) => concurrency.keyOf!(message, tools) },
      environment,
    );
    // A partition that comes back to this process brings what this process gave back or lost of it.
    const counts = new Map<number, AttemptCount>();
    const consumerOf = (partition: number): Consumer => {
      const attempts = counts.get(partition) ?? attemptCountFor(transport.capabilities, retry, prefetch);
      counts.set(partition, attempts);
      const own = { ...definition, topology: partitionTopology(topology, partition) };
      return new Consumer({ definition: own, handler }, { ...environment, attempts });
    };
    this.share = new PartitionShare({ topology, transport, clock, log, random: Math.random, consumerOf });
  }

  get queue(): string {
    return this.definition.topology.queue;
  }

  get state(): ConsumerState {
    if (this.stopping) return 'stopped';
    if (this.paused) return 'paused';
    return this.distributes ? this.distributor.state : 'consuming';
  }

  private get distributes(): boolean {
    return this.definition.partitioning?.distribute === true;
  }

  /** The queue that routes lead to, then its partitions, whoever has them. */
  queues(): readonly QueueReport[] {
    const { owned, leaving } = this.share;
    const partitions = Array.from({ length: this.definition.topology.partitions ?? 0 }, (_, partition): QueueReport => {
      const consumer = owned.get(partition);
      if (consumer) return consumer;
      const inFlight = leaving.get(partition)?.inFlight ?? 0;
      const queue = partitionQueue(this.queue, partition);
      return {
        queue,
        state: this.stopping ? 'stopped' : 'standby',
        inFlight,
        reason: undefined,
        idempotency: undefined,
      };
    });
    if (!this.distributes) return partitions;
    const report = this.distributor.report();
    return [{ ...report, reason: report.reason ?? this.share.problem }, ...partitions];
  }

  async declare(): Promise<void> {
    await this.distributor.declare();
  }

  async start(): Promise<void> {
    try {
      if (this.distributes) await this.distributor.start();
      else await this.declare();
      await this.share.start();
    } catch (error) {
      // Half of the subscription must not go on.
      await this.stop(AbortSignal.abort());
      throw error;
    }
  }

  /** This process keeps its partitions; what comes for others is moved to them all the same. */
  pause(): void {
    this.paused = true;
    this.share.pause();
  }

  resume(): void {
    this.paused = false;
    this.share.resume();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.stopping = true;
    await Promise.all([this.distributor.stop(deadline), this.share.stop(deadline)]);
  }

  async unbind(): Promise<void> {
    const queues = queuesOf(this.environment.transport, 'nothing can be unbound');
    await queues.unbind(this.definition.topology);
  }
}
