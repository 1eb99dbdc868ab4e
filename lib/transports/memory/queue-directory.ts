import { InvalidOptionError, TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { Topology } from '../../transport/topology.js';
import type { Dispatcher } from './dispatcher.js';
import { DirectExchange, TopicExchange } from './exchange.js';
import { MemoryQueue, type QueueArguments } from './memory-queue.js';
import { requireInteger } from './memory-options.js';
import type { Schedule } from './schedule.js';

/** Where a message goes, with the client's defaults filled in. */
export type Address =
  | { readonly kind: 'route'; readonly topic: string; readonly route: string }
  | { readonly kind: 'dead-letter'; readonly topic: string; readonly route: string }
  | { readonly kind: 'queue'; readonly queue: string };

/** The queues of a broker and what is bound to them. Dead letters have exchanges of their own, which no pattern reaches. */
export class QueueDirectory {
  readonly queues = new Map<string, MemoryQueue>();
  private readonly topics = new Map<string, TopicExchange<MemoryQueue>>();
  private readonly deadLetterTopics = new Map<string, DirectExchange<MemoryQueue>>();

  constructor(
    private readonly maxMessages: number,
    private readonly dispatcher: Dispatcher,
    private readonly schedule: Schedule,
  ) {}

  /** What takes a message that is sent there; empty where nothing does. */
  queuesFor(to: Address): readonly MemoryQueue[] {
    if (to.kind === 'route') return this.topic(to.topic).queuesFor(to.route);
    if (to.kind === 'dead-letter') return this.deadLetterTopic(to.topic).queuesFor(to.route);
    const queue = this.queues.get(to.queue);
    return queue ? [queue] : [];
  }

  /** Throws TopologyMismatchError; nothing is created then. */
  declare(topology: Topology, topic: string, deadLetterTopic: string, provision: boolean): void {
    const { deadLetter } = topology;
    const args: QueueArguments = {
      deadLetter: deadLetter && { topic: deadLetterTopic, queue: deadLetter.queue, route: deadLetter.route },
      maxMessages: maxMessagesOf(topology) ?? this.maxMessages,
    };
    const deadLetterArgs: QueueArguments = { deadLetter: undefined, maxMessages: this.maxMessages };
    this.check(topology.queue, args);
    if (deadLetter) this.check(deadLetter.queue, deadLetterArgs);
    if (!provision) return this.checkPresence(topology);
    const queue = this.create(topology.queue, args);
    for (const pattern of topology.patterns) this.topic(topic).bind(pattern, queue);
    if (!deadLetter) return;
    this.deadLetterTopic(deadLetterTopic).bind(deadLetter.route, this.create(deadLetter.queue, deadLetterArgs));
  }

  unbind(topology: Topology, topic: string): void {
    const queue = this.queues.get(topology.queue);
    if (queue) for (const pattern of topology.patterns) this.topic(topic).unbind(pattern, queue);
  }

  /** What nobody consumes keeps no bindings but these: those of an earlier application are not wanted any more. */
  unbindFormer({ queue: name, patterns }: Topology, topic: string): void {
    const queue = this.queues.get(name);
    if (!queue || queue.consumerCount > 0) return;
    for (const [other, exchange] of this.topics) exchange.unbindAll(queue, other === topic ? patterns : []);
  }

  delete(name: string): MemoryQueue | undefined {
    const queue = this.queues.get(name);
    if (!queue) return undefined;
    this.queues.delete(name);
    for (const exchange of [...this.topics.values(), ...this.deadLetterTopics.values()]) exchange.unbindAll(queue);
    return queue;
  }

  private create(name: string, args: QueueArguments): MemoryQueue {
    let queue = this.queues.get(name);
    if (!queue) this.queues.set(name, (queue = new MemoryQueue(name, args, this.dispatcher, this.schedule)));
    return queue;
  }

  private check(name: string, wanted: QueueArguments): void {
    const found = this.queues.get(name)?.args;
    if (!found) return;
    const a = describe(wanted);
    const b = describe(found);
    const different = (Object.keys(a) as (keyof typeof a)[]).find((argument) => a[argument] !== b[argument]);
    if (!different) return;
    throw new TopologyMismatchError(
      `Queue «${name}» exists with another «${different}»: wanted ${a[different]}, found ${b[different]}. ` +
        'Give every subscription of this queue the same options, or give one of them a `name` of its own.',
    );
  }

  private checkPresence(topology: Topology): void {
    const wanted = [topology.queue, ...(topology.deadLetter ? [topology.deadLetter.queue] : [])];
    const missing = wanted.filter((name) => !this.queues.has(name));
    if (missing.length === 0) return;
    const names = missing.map((name) => `«${name}»`).join(', ');
    throw new TopologyMismatchError(
      `Missing on the broker: queue ${names}. Create it, or let it be created with \`provision: true\`.`,
    );
  }

  private topic(name: string): TopicExchange<MemoryQueue> {
    let topic = this.topics.get(name);
    if (!topic) this.topics.set(name, (topic = new TopicExchange()));
    return topic;
  }

  private deadLetterTopic(name: string): DirectExchange<MemoryQueue> {
    let topic = this.deadLetterTopics.get(name);
    if (!topic) this.deadLetterTopics.set(name, (topic = new DirectExchange()));
    return topic;
  }
}

function describe(args: QueueArguments): { deadLetter: string; maxMessages: string } {
  const { deadLetter } = args;
  return {
    deadLetter: deadLetter
      ? `queue «${deadLetter.queue}» by route «${deadLetter.route}» on «${deadLetter.topic}»`
      : 'none',
    maxMessages: String(args.maxMessages),
  };
}

function maxMessagesOf(topology: Topology): number | undefined {
  for (const [option, value] of Object.entries(topology.native ?? {})) {
    if (option !== 'maxMessages')
      throw new InvalidOptionError(`memory.${option}`, value, 'no such option; known: maxMessages');
    if (value !== undefined) return requireInteger('memory.maxMessages', value, 1);
  }
  return undefined;
}
