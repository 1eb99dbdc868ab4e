import type { WireMessage } from '../../../lib/message/message.js';
import { NotConnectedError } from '../../../lib/errors/publish-errors.js';
import type { Outgoing } from '../../../lib/transport/outgoing.js';
import type { Partitioning, QueueSplit } from '../../../lib/transport/topology.js';
import type { PublishDone, SubscribeHandlers, SubscribeOptions } from '../../../lib/transport/transport.js';
import { FakeTransport, type FakeSubscription, confirmed } from './fake-transport.js';

/** What the processes of a partitioned subscription see of each other. */
export class PartitionBroker {
  /** The process that consumes a partition. */
  readonly owners = new Map<string, PartitionTransport>();
  readonly members = new Map<PartitionTransport, FakeSubscription>();
  /** How often a partition changed hands. */
  moves = 0;
  private asked = 0;

  count(queue: string): number {
    if (queue.endsWith('.members')) return this.members.size;
    return this.owners.has(queue) ? 1 : 0;
  }

  /** To one of the members, each in its turn. */
  ask(): void {
    const members = [...this.members.values()];
    members[this.asked++ % members.length]?.deliver();
  }

  /** The process is gone without a word. */
  kill(transport: PartitionTransport): void {
    this.members.delete(transport);
    for (const [queue, owner] of this.owners) if (owner === transport) this.owners.delete(queue);
  }
}

/** The transport of one process, which can split queues. */
export class PartitionTransport extends FakeTransport {
  override readonly system = 'rabbitmq';
  override readonly partitioning: Partitioning = {
    option: 'rabbitmq.partitions',
    splitBy: (native) => splitBy(native),
    consumers: (queues) => this.consumers(queues),
  };
  down = false;

  constructor(private readonly broker: PartitionBroker) {
    super({ keyOrder: 'queue' });
    this.answer = () => confirmed;
  }

  get owned(): string[] {
    return [...this.broker.owners].flatMap(([queue, owner]) => (owner === this ? [queue] : []));
  }

  private async consumers(queues: readonly string[]): Promise<number[]> {
    if (this.down) throw new NotConnectedError('not connected');
    return queues.map((queue) => this.broker.count(queue));
  }

  override publish(batch: readonly Outgoing[], done: PublishDone): void {
    super.publish(batch, done);
    for (const { to } of batch) if (to.kind === 'queue' && to.queue.endsWith('.members')) this.broker.ask();
  }

  override async subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<FakeSubscription> {
    const { queue, membersOf, partitionOf } = options.topology;
    const { owners, members } = this.broker;
    const subscription = await super.subscribe(options, handlers);
    subscription.onStop = async () => {
      if (membersOf !== undefined) members.delete(this);
      if (partitionOf !== undefined && owners.get(queue) === this) owners.delete(queue);
    };
    if (membersOf !== undefined) members.set(this, subscription);
    if (partitionOf !== undefined && owners.has(queue)) handlers.state(false, `another process consumes «${queue}»`);
    else if (partitionOf !== undefined) {
      owners.set(queue, this);
      this.broker.moves++;
    }
    return subscription;
  }
}

function splitBy(native: Readonly<Record<string, unknown>>): QueueSplit | undefined {
  const { partitions, distribute = true } = native as { partitions?: number; distribute?: boolean };
  return partitions === undefined ? undefined : { count: partitions, distribute };
}

/** Something to deliver, of a key. */
export function keyed(id: string, key: string): { id: string; headers: WireMessage['headers'] } {
  return { id, headers: { 'messaging-key': key } };
}
