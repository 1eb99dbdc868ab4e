import type { Clock } from '../../../clock/clock.js';
import type { Topology } from '../../../transport/topology.js';
import type { UnattendedQueue } from '../../kit/former-queues.js';
import type { QueueMaker } from '../../kit/single-connection-transport.js';
import { Binding } from './binding.js';
import { unattendedQueues } from './former-queues.js';
import type { Link } from '../connection/link.js';
import { tokenOf, type Names } from '../names.js';
import type { Queue, Queues } from './queues.js';

/** The queues of one transport, and what is meant for each; `declare` tells when the consumer was made. */
export class BoundQueues implements QueueMaker<Link, string> {
  private readonly bindings = new Map<string, Binding>();

  constructor(
    private readonly queues: Queues,
    private readonly names: Names,
    private readonly service: string,
    private readonly clock: Clock,
  ) {}

  /** Undefined for a queue that was not declared here. */
  binding(queue: string): Binding | undefined {
    return this.bindings.get(queue);
  }

  find(link: Link, queue: string): Promise<Queue | undefined> {
    return this.queues.find(link, queue);
  }

  async declare(link: Link, topology: Topology): Promise<string> {
    const queue = await this.queues.declare(link, topology);
    this.learn(queue);
    return queue.info.created;
  }

  async unbind(link: Link, topology: Topology): Promise<void> {
    await this.queues.unbind(link, topology);
    const found = await this.queues.find(link, topology.queue);
    if (found) this.learn(found);
  }

  compare(link: Link, topologies: readonly Topology[]): Promise<void> {
    return this.queues.compare(link, topologies);
  }

  remove(link: Link, queue: string): Promise<boolean> {
    return link.manager.consumers.delete(this.names.stream, tokenOf(queue));
  }

  unattended(link: Link, declared: ReadonlySet<string>): Promise<readonly UnattendedQueue[]> {
    return unattendedQueues(link, this.names, this.service, declared, this.clock);
  }

  private learn({ record }: Queue): void {
    this.bindings.set(record.queue, new Binding(record, this.names));
  }
}
