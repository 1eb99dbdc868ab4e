import type { ListedQueue, QueueList, QueueScope } from '../../transport/queue-list.js';
import type { Browser, QueueOperations } from '../../transport/queue-operations.js';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { Clock } from '../../clock/clock.js';
import type { Topology } from '../../transport/topology.js';
import type { Undeliverable } from '../../transport/undeliverable.js';
import { KafkaBrowser } from './browser.js';
import type { KafkaLink } from './client-port.js';
import { takenBy } from './codec.js';
import { lagOf } from './groups.js';
import type { Link } from './link.js';
import type { Names } from './names.js';
import type { GroupReader } from './reader.js';
import type { Topics } from './topics.js';

/** Of a transport that is connected. */
export interface OperationParts {
  readonly topics: Topics;
  readonly clock: Clock;
  readonly undeliverable: Undeliverable<string>;
  readonly readers: () => Iterable<GroupReader>;
  readonly warn: (message: string) => void;
  /** What this process knows of a queue. */
  readonly declared: (queue: string) => Topology | undefined;
}

/** What an operator asks of queues: of a group's place, and of what is behind it. */
export class Operations implements QueueOperations {
  constructor(
    private readonly names: Names,
    private readonly known: () => OperationParts | undefined,
    private readonly ask: <T>(question: (link: Link) => Promise<T>) => Promise<T>,
  ) {}

  depth(queue: string): Promise<number | undefined> {
    return this.ask(({ client }) => this.ready(client, queue));
  }

  readyHere(queue: string): Promise<number | undefined> {
    return this.ask(({ client }) => this.ready(client, queue, true));
  }

  browse(queue: string, rest?: Browser): Promise<Browser> {
    return this.ask(async (link) => {
      const { names } = this;
      const { declared, clock, warn } = this.parts();
      const [queueTopic, group] = [names.queueTopic(queue), names.group(queue)];
      const topics = await this.readBy(link.client, queue);
      if (!topics)
        throw new TopologyMismatchError(`There is no queue «${queue}»: the topic «${queueTopic}» is missing`);
      const takes = takenBy(declared(queue) ?? { patterns: ['#'] }, queueTopic);
      return KafkaBrowser.open({ link, clock, group, queue, queueTopic, topics, takes, warn }, rest);
    });
  }

  list({ service, queues: wanted = [] }: QueueScope): Promise<QueueList | undefined> {
    return this.ask(async ({ client }) => {
      const { names } = this;
      const there = new Set([...(await client.topics()).keys()].flatMap((topic) => names.queueOf(topic) ?? []));
      const chosen = new Set([...there].filter((name) => service !== undefined && name.startsWith(`${service}:`)));
      if (wanted.length === 0 && chosen.size === 0) return undefined;
      for (const name of wanted) {
        const dead = deadLetterQueueOf(name);
        for (const one of [name, dead]) if (one !== undefined && there.has(one)) chosen.add(one);
      }
      const groups = await client.groups([...chosen].map((name) => names.group(name)));
      const queues: ListedQueue[] = [];
      for (const name of [...chosen].sort()) {
        const dead = deadLetterQueueOf(name);
        queues.push({
          name,
          ready: await this.ready(client, name),
          consumers: groups.get(names.group(name))?.members ?? 0,
          routes: [...(this.parts().declared(name)?.patterns ?? [])],
          ...(dead !== undefined && there.has(dead) && { deadLetterQueue: dead }),
        });
      }
      const delays = this.parts().topics.delays;
      const waiting = {
        name: names.delayGroup,
        ready: await lagOf(client, names.delayGroup, delays).catch(() => undefined),
      };
      return { queues, missing: wanted.filter((name) => !there.has(name)), waiting: [waiting] };
    });
  }

  /** Nothing is bound: a group that nobody is in reads nothing. */
  async unbind(): Promise<void> {}

  /** A topic that is there is used as it is. */
  async compare(): Promise<void> {}

  undeliverable(): number {
    return this.known()?.undeliverable.count ?? 0;
  }

  /** It is asked on a link. */
  private parts(): OperationParts {
    return this.known()!;
  }

  /** What is ahead of the group's place, but for what this process has in its hands. */
  private async ready(client: KafkaLink, queue: string, here = false): Promise<number | undefined> {
    const topics = await this.readBy(client, queue);
    if (!topics) return undefined;
    const readers = [...this.parts().readers()].filter(({ group }) => group === this.names.group(queue));
    return lagOf(client, this.names.group(queue), topics, { readers, here });
  }

  /** Undefined: the queue is not there. One that others have declared reads the topics in which its group has a place. */
  private async readBy(client: KafkaLink, queue: string): Promise<readonly string[] | undefined> {
    const { topics, declared } = this.parts();
    const own = this.names.queueTopic(queue);
    const there = await client.topics();
    if (!there.has(own)) return undefined;
    const known = declared(queue);
    const places = known ? [] : await client.committed(this.names.group(queue));
    const readBy = known ? topics.readBy({ topics: there }, known) : [...places.map(({ topic }) => topic), own];
    return [...new Set(readBy)].filter((topic) => there.has(topic));
  }
}

/** By the names that subscriptions give. */
function deadLetterQueueOf(queue: string): string | undefined {
  return queue.endsWith(':queue') ? queue.replace(/:queue$/, ':dlq') : undefined;
}
