import type { Clock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import type { Topology } from '../../transport/topology.js';
import type { NewTopic, TopicPartition, TopicPartitionOffset } from './client-port.js';
import { LEVEL_WAITS_MS } from './delayed.js';
import { isOverAMove, unauthorised } from './errors.js';
import type { Link } from './link.js';
import type { Names } from './names.js';
import type { Settings } from './options.js';

/** Queues, retries and dead letters are kept until they are consumed; what is published by a route as long as the cluster says. */
const KEPT = { 'retention.ms': '-1' };

/** How long a group that another process has begun may be without a place. */
const PLACED_WITHIN_MS = 5_000;
const LOOK_MS = 250;
/** Of what is asked about a topic or group whose leader is not known yet, with as many pauses. */
const TRIES = 20;

/** What stands on the cluster for queues: topics, and the places of groups in them. */
export class Topics {
  /** Queues that dead-letter routes of another name lead to. */
  readonly deadLetters = new Map<string, string>();
  /** Queues that have a place in their topic with routes; of those that were made here and have none yet, since when they should. */
  private readonly queues = new Map<string, 'placed' | number>();

  constructor(
    private readonly settings: Settings,
    private readonly names: Names,
    private readonly provision: boolean,
    private readonly clock: Clock,
    private readonly warn: (message: string) => void,
    private readonly made: (topics: readonly string[]) => void = () => {},
  ) {}

  /** Those that a queue is read from. */
  readBy({ topics }: Pick<Link, 'topics'>, { queue, topic, patterns }: Topology): readonly string[] {
    const routes = patterns.flatMap((pattern) => this.names.routeTopics(topic, pattern, topics.keys()));
    return [...new Set(routes), this.names.queueTopic(queue)];
  }

  /** Makes what a topology needs, or rejects with a MessagingError. */
  async make(link: Link, topology: Topology): Promise<void> {
    const { queue, deadLetter, provision } = topology;
    if (deadLetter && deadLetter.route !== deadLetter.queue) this.deadLetters.set(deadLetter.route, deadLetter.queue);
    const own = this.names.queueTopic(queue);
    const readBy = this.readBy(link, topology);
    const wanted = [...readBy, ...(deadLetter ? [this.names.queueTopic(deadLetter.queue)] : [])];
    const needsDelays = topology.waits !== undefined && topology.waits.length > 0;
    if (needsDelays) wanted.push(...this.delays);
    await this.answered(async () => {
      const missing = await this.missing(link, wanted);
      if (missing.length > 0) {
        if (!provision || !this.provision) throw new TopologyMismatchError(this.lackOf(topology, missing));
        if (missing.includes(own) && !this.queues.has(queue)) this.queues.set(queue, this.clock.now());
        await this.create(link, missing);
      }
      const isPlaced = this.queues.get(queue) === 'placed' && !readBy.some((topic) => missing.includes(topic));
      if (topology.patterns.length > 0 && !isPlaced) await this.place(link, queue, readBy);
    });
  }

  private lackOf({ queue, deadLetter }: Topology, missing: readonly string[]): string {
    const { delays } = this;
    const lacks = missing.filter((topic) => !delays.includes(topic)).map((topic) => `the topic «${topic}»`);
    if (lacks.length < missing.length)
      lacks.push(`the topics «${delays[0]}» to «${delays.at(-1)}», in which delayed messages wait`);
    const dead = deadLetter ? ` (dead letters: «${deadLetter.queue}»)` : '';
    return `The queue «${queue}»${dead} needs ${lacks.join(', ')}, which the broker does not have, and «provision: false» does not let it be made`;
  }

  /** Makes sure that what is published by a route, or waits, has its topic. @returns those that are missing */
  async provide(link: Link, topics: Iterable<string>): Promise<ReadonlySet<string>> {
    const wanted = [...topics];
    if (wanted.every((topic) => link.topics.has(topic))) return NONE;
    return this.answered(async () => {
      const missing = await this.missing(link, wanted);
      const mine = missing.filter((topic) => !topic.startsWith(`${this.names.topic}.queue.`));
      if (!this.provision || mine.length === 0) return new Set(missing);
      await this.create(link, mine);
      return new Set(missing.filter((topic) => !mine.includes(topic)));
    });
  }

  /** The topics in which delayed messages wait. */
  get delays(): readonly string[] {
    return LEVEL_WAITS_MS.map((waitMs) => this.names.delayTopic(waitMs));
  }

  /** It was there, and is not any more. */
  forget(link: Link, topics: readonly string[]): void {
    link.topics = new Map([...link.topics].filter(([topic]) => !topics.includes(topic)));
  }

  async remove(link: Link, queue: string): Promise<void> {
    const topic = this.names.queueTopic(queue);
    this.queues.delete(queue);
    this.forget(link, [topic]);
    await link.client.deleteTopics([topic]);
  }

  /** What is consumed of what is kept for its group alone takes no room any more. */
  async truncate(link: Link, committed: readonly TopicPartitionOffset[]): Promise<void> {
    const own = committed.filter(({ topic }) => this.isOwn(topic));
    if (own.length > 0) await link.client.truncate(own);
  }

  /** Only one group reads it. */
  private isOwn(topic: string): boolean {
    return topic.startsWith(`${this.names.topic}.queue.`) || topic.startsWith(`${this.names.delayGroup}.`);
  }

  private async missing(link: Link, wanted: readonly string[]): Promise<string[]> {
    if (!wanted.every((topic) => link.topics.has(topic))) link.topics = await link.client.topics();
    return wanted.filter((topic) => !link.topics.has(topic));
  }

  private async create(link: Link, topics: readonly string[]): Promise<void> {
    const { partitions, replicas } = this.settings;
    await link.client.createTopics(
      topics.map((topic): NewTopic => {
        return { topic, partitions, replicas, config: this.isOwn(topic) ? KEPT : {} };
      }),
    );
    link.topics = await link.client.topics();
    this.made(topics);
  }

  /**
   * A group that is new begins with what is published from the first attempt to make it on. One that was away for so long that the broker has forgotten
   * its place begins with all that there is, as one does whose topic was deleted and made again: rather twice than never.
   */
  private async place(link: Link, queue: string, readBy: readonly string[]): Promise<void> {
    const { client } = link;
    const own = readBy.at(-1)!;
    const routes = readBy.slice(0, -1);
    const group = this.names.group(queue);
    const known = this.queues.get(queue);
    const placed = async (): Promise<ReadonlySet<string>> =>
      new Set((await client.committed(group)).map(({ topic }) => topic));
    let there = await placed();
    const wasPlaced = known !== undefined || there.has(own);
    // A topic that is new to a group is read from its beginning.
    const isPlaced = (): boolean => (this.names.ofRoutes && there.has(own)) || routes.some((topic) => there.has(topic));
    // Another process may have made the queue in this moment, and be about to.
    for (let looks = 0; !isPlaced() && !wasPlaced && looks < PLACED_WITHIN_MS / LOOK_MS; looks++) {
      await sleep(this.clock, LOOK_MS);
      there = await placed();
    }
    if (isPlaced() || known === 'placed') return void this.queues.set(queue, 'placed');
    if (!wasPlaced)
      return this.warn(
        `«${queue}» has no place in «${routes.join(', ') || own}» any more: Kafka forgets those of groups that are away for long (offsets.retention.minutes). It reads from the beginning: messages can come again`,
      );
    const places: TopicPartitionOffset[] = [];
    for (const topic of routes) places.push(...(await client.since(topic, known ?? this.clock.now())));
    if (known !== undefined) places.push(...partitionsOf(link, own).map((at) => ({ ...at, offset: 0 })));
    await client.place(group, places);
    this.queues.set(queue, 'placed');
  }

  /** Errors of the client become ours. What is new, or moves, is soon ready. */
  private async answered<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof MessagingError) throw error;
        const text = this.settings.redact((error as Error).message);
        const refused = unauthorised(error, text);
        if (refused) throw refused;
        if (!isOverAMove(error) || tries === TRIES)
          throw new NotConnectedError(`Kafka did not do what was asked: ${text}`);
      }
      await sleep(this.clock, LOOK_MS);
    }
  }
}

function partitionsOf({ topics }: Link, topic: string): TopicPartition[] {
  return Array.from({ length: topics.get(topic) ?? 0 }, (_, partition) => ({ topic, partition }));
}

const NONE: ReadonlySet<string> = new Set();
