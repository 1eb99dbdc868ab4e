import { InvalidOptionError, TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { Topology } from '../../transport/topology.js';
import type { UnattendedQueue } from '../kit/former-queues.js';
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

/** The client that declares, and what it means where it does not say so. */
export interface Declaring {
  readonly topic: string;
  readonly deadLetterTopic: string;
  readonly service: string;
}

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
  declare(topology: Topology, { topic, deadLetterTopic, service }: Declaring, provision: boolean): void {
    this.compare([topology], deadLetterTopic);
    if (!provision) return this.checkPresence(topology);
    if (topology.adopt) this.checkAdopted(topology.queue);
    const [queue, deadLetters] = this.wanted(topology, deadLetterTopic).map(([name, args]) =>
      this.create(name, args, service),
    );
    for (const pattern of topology.patterns) this.topic(topic).bind(pattern, queue);
    if (topology.deadLetter) this.deadLetterTopic(deadLetterTopic).bind(topology.deadLetter.route, deadLetters);
  }

  /** What is there with what is wanted. Throws one TopologyMismatchError that tells every difference. */
  compare(topologies: readonly Topology[], deadLetterTopic: string): void {
    const wanted = new Map(topologies.flatMap((topology) => this.wanted(topology, deadLetterTopic)));
    for (const { adopt, queue } of topologies)
      if (adopt) {
        this.checkAdopted(queue);
        wanted.delete(queue);
      }
    const told = [...wanted].flatMap(([name, args]) => this.mismatch(name, args) ?? []);
    if (told.length > 0) throw new TopologyMismatchError(told.join('\n'));
  }

  /** The queue of a topology, and of its dead letters. */
  private wanted(topology: Topology, deadLetterTopic: string): (readonly [name: string, args: QueueArguments])[] {
    const { deadLetter } = topology;
    const args: QueueArguments = {
      deadLetter: deadLetter && { topic: deadLetterTopic, queue: deadLetter.queue, route: deadLetter.route },
      maxMessages: maxMessagesOf(topology) ?? this.maxMessages,
      expiresMs: topology.exclusive?.expiresMs,
    };
    return deadLetter
      ? [
          [topology.queue, args],
          [deadLetter.queue, this.deadLetterArguments],
        ]
      : [[topology.queue, args]];
  }

  unbind(topology: Topology, topic: string): void {
    const queue = this.queues.get(topology.queue);
    if (queue) for (const pattern of topology.patterns) this.topic(topic).unbind(pattern, queue);
  }

  /** What nobody consumes keeps no bindings but these: those of an earlier application are not wanted any more. */
  unbindFormer({ queue: name, patterns }: Topology, topic: string): void {
    const queue = this.queues.get(name);
    if (!queue || queue.consumerCount > 0 || patterns.length === 0) return;
    for (const [other, exchange] of this.topics) exchange.unbindAll(queue, other === topic ? patterns : []);
  }

  delete(name: string): MemoryQueue | undefined {
    const queue = this.queues.get(name);
    if (!queue) return undefined;
    this.queues.delete(name);
    for (const exchange of [...this.topics.values(), ...this.deadLetterTopics.values()]) exchange.unbindAll(queue);
    return queue;
  }

  /** The queues that the service has bound, that hold messages, and that nobody consumes; not what goes by itself. */
  unattended(service: string): UnattendedQueue[] {
    return [...this.queues.values()].flatMap((queue) => {
      if (queue.service !== service || queue.consumerCount > 0 || queue.ready === 0 || queue.args.expiresMs) return [];
      const bindings = [...this.topics].flatMap(([topic, exchange]) =>
        exchange.patternsOf(queue).map((pattern) => `«${pattern}» of «${topic}»`),
      );
      if (bindings.length === 0) return [];
      const remedy = `To delete it with its messages: broker.faults.deleteQueue('${queue.name}')`;
      return [{ queue: queue.name, messages: queue.ready, bindings, remedy }];
    });
  }

  private create(name: string, args: QueueArguments, service: string): MemoryQueue {
    let queue = this.queues.get(name);
    if (queue) return queue;
    queue = new MemoryQueue(name, args, service, this.dispatcher, this.schedule, () => this.delete(name)?.delete());
    this.queues.set(name, queue);
    return queue;
  }

  private get deadLetterArguments(): QueueArguments {
    return { deadLetter: undefined, maxMessages: this.maxMessages, expiresMs: undefined };
  }

  private mismatch(name: string, wanted: QueueArguments): string | undefined {
    const found = this.queues.get(name)?.args;
    if (!found) return undefined;
    const a = describe(wanted);
    const b = describe(found);
    const different = (Object.keys(a) as (keyof typeof a)[]).filter((argument) => a[argument] !== b[argument]);
    if (different.length === 0) return undefined;
    const told = different.map((argument) => `another «${argument}»: wanted ${a[argument]}, found ${b[argument]}`);
    return `Queue «${name}» exists with ${told.join('; ')}. Give every subscription of this queue the same options, or give one of them a \`name\` of its own.`;
  }

  private checkAdopted(queue: string): void {
    if (!this.queues.has(queue))
      throw new TopologyMismatchError(
        `Queue «${queue}» does not exist, and with «adopt: true» it is somebody else's to make. Make it, or leave out «adopt».`,
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

function describe(args: QueueArguments): { deadLetter: string; maxMessages: string; expires: string } {
  const { deadLetter } = args;
  return {
    deadLetter: deadLetter
      ? `queue «${deadLetter.queue}» by route «${deadLetter.route}» on «${deadLetter.topic}»`
      : 'none',
    maxMessages: String(args.maxMessages),
    expires: String(args.expiresMs ?? 'never'),
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
