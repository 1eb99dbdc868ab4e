import type { ConsumerConfig, ConsumerInfo } from '@nats-io/jetstream';
import type { Clock } from '../../../clock/clock.js';
import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import { toldTogether } from '../../../errors/told-together.js';
import type { Topology } from '../../../transport/topology.js';
import {
  describeQueue,
  filtersFor,
  foreignRecord,
  isUnfinished,
  MOST_DESCRIPTION,
  type QueueRecord,
  recordOf,
  UNKNOWN,
} from './binding.js';
import { apiCode, apiError, codeOf } from '../connection/broker-errors.js';
import { isUnattended } from './attendance.js';
import { checkBound, mismatchOf, missingText, unadoptable } from './comparison.js';
import type { DelayedStream } from './delayed-stream.js';
import { Limited } from '../../kit/limited.js';
import { type Link, NANOS_PER_MS } from '../connection/link.js';
import { tokenOf, type Names } from '../names.js';
import { checkSubscriptionOptions, type Settings } from '../options.js';
import { Removals } from './removals.js';
import type { Streams } from './streams.js';

/** Pull requests that may wait at once, over all processes. */
const MAX_WAITING = 4_096;
const MOST_ATTEMPTS = 5;
/** Queues that are asked for at the same time. */
const MOST_QUESTIONS = 32;

/** What is to be known of a queue. */
export interface Queue {
  readonly record: QueueRecord;
  readonly info: ConsumerInfo;
}

/** Declares queues: durable consumers of the stream. Declaring again is how a deleted one comes back. */
export class Queues {
  private readonly removals: Removals;
  private readonly questions = new Limited(MOST_QUESTIONS);
  /** Queues with their patterns that were compared with what was declared before. */
  private readonly looked = new Set<string>();

  constructor(
    private readonly names: Names,
    private readonly settings: Settings,
    private readonly streams: Streams,
    private readonly delayed: DelayedStream,
    private readonly provision: boolean,
    private readonly service: string,
    private readonly clock: Clock,
    private readonly redact: (text: string) => string,
    private readonly warn: (message: string) => void,
  ) {
    this.removals = new Removals(clock);
  }

  /** What exists with what is wanted. @throws one TopologyMismatchError with every difference */
  async compare(link: Link, topologies: readonly Topology[]): Promise<void> {
    const told = await Promise.all(
      topologies.map((topology) =>
        this.questions.run(async () => {
          const found = await this.find(link, topology.queue);
          const { adopt, queue } = topology;
          if (!found) return adopt ? missingText(queue) : undefined;
          const refused = adopt ? unadoptable(queue, found.info.config, this.settings.ackWait) : undefined;
          return refused ?? mismatchOf(found.record, this.wanted(topology));
        }),
      ),
    );
    const differences = told.filter((one) => one !== undefined);
    if (differences.length > 0) throw new TopologyMismatchError(differences.join('\n'));
  }

  /** What is written down of a queue, and of its dead-letter queue before it. */
  recordsOf(topology: Topology): readonly QueueRecord[] {
    const wanted = this.wanted(topology);
    const { deadLetter, topic } = wanted;
    return deadLetter ? [deadLetterRecord(deadLetter, topic), wanted] : [wanted];
  }

  private wanted({ queue, topic = this.names.stream, patterns, deadLetter }: Topology): QueueRecord {
    const open = Object.fromEntries(patterns.map((pattern) => [pattern, 0]));
    return { queue, topic, patterns: open, routes: [], service: this.service, deadLetter };
  }

  async declare(link: Link, topology: Topology): Promise<Queue> {
    checkSubscriptionOptions(topology.native);
    const provision = this.provision && topology.provision;
    if (topology.adopt) await this.compare(link, [topology]);
    const wanted = this.wanted(topology);
    const { queue, topic, deadLetter } = wanted;
    let made: string;
    try {
      made = await this.streams.ensureTopic(link, topic, provision);
    } catch (error) {
      if (error instanceof TopologyMismatchError && !provision)
        throw new TopologyMismatchError(`The queue «${queue}» does not exist: ${error.message}`);
      throw error;
    }
    const dead = deadLetter && deadLetterRecord(deadLetter, topic);
    const expires = topology.exclusive?.expiresMs;
    if (!provision) {
      const looks = [dead && this.ensure(link, dead, made, false), this.checkWaits(link, topology)];
      const [declared] = await toldTogether([this.ensure(link, wanted, made, false, expires), ...looks] as const);
      return this.withoutFormer(link, topology, declared, false);
    }
    if (dead) await this.ensure(link, dead, made, true);
    const declared = await this.ensure(link, wanted, made, true, expires, topology.adopt);
    // What else it is bound by is its owner's.
    return topology.adopt ? declared : this.withoutFormer(link, topology, declared, true);
  }

  private async checkWaits(link: Link, { queue, waits = [] }: Topology): Promise<void> {
    if (waits.length === 0) return;
    await this.delayed.check(link).catch((error: unknown) => {
      if (!(error instanceof TopologyMismatchError)) throw error;
      throw new TopologyMismatchError(
        `The retries and delayed messages of «${queue}» have nowhere to wait: ${error.message}`,
      );
    });
  }

  /**
   * At the first declaration in this process: a pattern that the application declared before and not any more is unbound,
   * unless a process consumes the queue, which may be an earlier version that still handles it.
   */
  private async withoutFormer(
    link: Link,
    { queue, patterns }: Topology,
    found: Queue,
    provision: boolean,
  ): Promise<Queue> {
    const key = JSON.stringify([queue, patterns]);
    if (patterns.length === 0 || this.looked.has(key)) return found;
    const bound = Object.entries(found.record.patterns).flatMap(([pattern, until]) => (until === 0 ? [pattern] : []));
    const former = bound.filter((pattern) => !patterns.includes(pattern));
    const mayUnbind = former.length > 0 && provision && (await isUnattended(link, found.info, this.clock));
    if (mayUnbind) await this.unbind(link, { queue, patterns: former, provision });
    this.looked.add(key);
    if (former.length === 0) return found;
    const names = former.map((pattern) => `«${pattern}»`).join(', ');
    if (!mayUnbind) {
      const why = provision ? 'a process consumes the queue and may want that' : '«provision» is false';
      this.warn(
        `«${queue}» is still bound by ${names}, which is not declared any more: ${why}. A process that may provision, and starts while nobody consumes the queue, unbinds it`,
      );
      return found;
    }
    this.warn(`Unbound «${queue}» from ${names}, which is not declared any more. What the queue has stays`);
    return (await this.find(link, queue)) ?? found;
  }

  /** Undefined when there is no such queue. */
  async find(link: Link, queue: string, adopt = false): Promise<Queue | undefined> {
    try {
      const info = await link.manager.consumers.info(this.names.stream, tokenOf(queue));
      return {
        info,
        record: recordOf(info.config) ?? foreignRecord(queue, this.names.stream, adopt ? info.config : undefined),
      };
    } catch (error) {
      const code = codeOf(error);
      if (code === apiCode.consumerNotFound || code === apiCode.streamNotFound) return undefined;
      throw apiError(error, `the queue «${queue}»`, this.redact);
    }
  }

  /** Routes nothing more to the queue by these patterns. What it has stays: they count up to now. */
  async unbind(link: Link, { queue, patterns }: Topology): Promise<void> {
    const found = await this.find(link, queue);
    if (!found) return;
    try {
      const { state } = await link.manager.streams.info(this.names.stream);
      const { num_pending: pending } = await link.manager.consumers.info(this.names.stream, tokenOf(queue));
      const kept = { ...found.record.patterns };
      for (const pattern of patterns) {
        if (pending === 0) delete kept[pattern];
        else if (kept[pattern] === 0) kept[pattern] = state.last_seq;
      }
      await this.update(link, { ...found.record, patterns: kept });
    } catch (error) {
      throw apiError(error, `the bindings of «${queue}»`, this.redact);
    }
  }

  /** `stream`: when the stream was made. */
  async ensure(
    link: Link,
    wanted: QueueRecord,
    stream: string,
    provision: boolean,
    expiresMs?: number,
    adopt?: boolean,
  ): Promise<Queue> {
    const what = `the queue «${wanted.queue}»`;
    for (let attempt = 1; ; attempt++) {
      const found = await this.find(link, wanted.queue, adopt);
      if (!found && adopt) throw new TopologyMismatchError(missingText(wanted.queue));
      if (!found && !provision)
        throw new TopologyMismatchError(`${what} does not exist. Create it, or set «provision» to true`);
      try {
        if (!found) {
          this.removals.noticed(wanted.queue, stream);
          const removal = this.removals.over(wanted.queue);
          await (removal ?? this.create(link, wanted, expiresMs));
          continue;
        }
        this.removals.seen(wanted.queue, stream);
        if (!provision) {
          checkBound(found.record, this.merge(found.record, wanted));
          return found;
        }
        // The maker of the consumer died before it could say; what was published until now is not known to be taken.
        const since = found.record.since ?? (await link.manager.streams.info(this.names.stream)).state.last_seq;
        const record = this.merge({ ...found.record, since }, wanted);
        if (this.isCurrent(link, found, record)) return found;
        const bound = await this.bind(link, { ...found.record, since }, record);
        // Another process may have changed the queue at the same moment: look again.
        if (describeQueue(recordOf(bound.info.config) ?? wanted) === describeQueue(bound.record)) return bound;
      } catch (error) {
        const raced = codeOf(error) === apiCode.consumerExists || codeOf(error) === apiCode.consumerNotFound;
        if (!raced || attempt >= MOST_ATTEMPTS) throw apiError(error, what, this.redact);
      }
    }
  }

  /** Bindings add up, as they do on every broker. @throws TopologyMismatchError */
  private merge(found: QueueRecord, wanted: QueueRecord): QueueRecord {
    const mismatch = mismatchOf(found, wanted);
    if (mismatch !== undefined) throw new TopologyMismatchError(mismatch);
    return this.together(found, wanted);
  }

  together(found: QueueRecord, wanted: QueueRecord): QueueRecord {
    const patterns: Record<string, number> = { ...found.patterns, ...wanted.patterns };
    const routes = [...new Set([...found.routes, ...wanted.routes])];
    const moves = Object.keys(wanted.patterns).length > 0 && found.topic !== wanted.topic;
    const { deadLetter = found.deadLetter } = wanted;
    const { queue, topic, since, from, service = wanted.service } = found;
    return { queue, topic: moves ? wanted.topic : topic, patterns, routes, service, deadLetter, since, from };
  }

  isCurrent(link: Link, { info, record: found }: Queue, record: QueueRecord): boolean {
    const { filter_subject: one, filter_subjects: many = one ? [one] : [] } = info.config;
    const filters = this.filters(link, record);
    if (isUnfinished(found)) return false;
    return describeQueue(found) === describeQueue(record) && [...many].sort().join(' ') === filters.join(' ');
  }

  private filters(link: Link, record: QueueRecord): string[] {
    const filters = filtersFor(record, this.names, link.manyFilters);
    return filters.includes('>') ? [] : filters;
  }

  private async create(link: Link, record: QueueRecord, expiresMs: number | undefined): Promise<void> {
    const config = {
      durable_name: tokenOf(record.queue),
      ack_policy: 'explicit',
      deliver_policy: 'new',
      replay_policy: 'instant',
      ack_wait: this.settings.ackWait * NANOS_PER_MS,
      max_deliver: -1,
      max_ack_pending: -1,
      max_waiting: MAX_WAITING,
      // A process that holds all that it may asks for nothing, and shows that it lives by renewing its leases.
      ...(expiresMs !== undefined && {
        inactive_threshold: Math.max(expiresMs, this.settings.ackWait) * NANOS_PER_MS,
      }),
      ...this.described(link, record),
    };
    const { delivered } = await link.manager.consumers.add(this.names.stream, config as Partial<ConsumerConfig>);
    // What the consumer begins with is known now, before anything is delivered.
    await this.update(link, { ...record, since: delivered.stream_seq });
  }

  /** What was published before it was bound anew the server has dropped: nobody must be told that it was taken. */
  async bind(link: Link, found: QueueRecord, record: QueueRecord): Promise<Queue> {
    const { patterns, topic } = record;
    const isNew = (one: string): boolean =>
      topic !== found.topic || found.patterns[one] !== 0 || found.from?.[one] === UNKNOWN;
    const fresh = Object.keys(patterns).filter((one) => patterns[one] === 0 && isNew(one));
    const write = async (since: number): Promise<Queue> => {
      const told = { ...record, from: Object.fromEntries(fresh.map((pattern) => [pattern, since])) };
      const isTold = fresh.length > 0 && Buffer.byteLength(describeQueue(told)) <= MOST_DESCRIPTION;
      const bound = isTold ? told : { ...record, from: undefined };
      return { record: bound, info: await this.update(link, bound) };
    };
    const bound = await write(UNKNOWN);
    if (bound.record.from === undefined) return bound;
    return write((await link.manager.streams.info(this.names.stream)).state.last_seq);
  }

  async update(link: Link, record: QueueRecord): Promise<ConsumerInfo> {
    const config = this.described(link, record);
    return link.manager.consumers.update(this.names.stream, tokenOf(record.queue), config);
  }

  private described(link: Link, record: QueueRecord): Partial<ConsumerConfig> {
    const description = describeQueue(record);
    if (Buffer.byteLength(description) > MOST_DESCRIPTION)
      throw new TopologyMismatchError(
        `The queue «${record.queue}» has more patterns than fit into the ${MOST_DESCRIPTION} bytes of its consumer's description. Use fewer, with wildcards`,
      );
    const filters = this.filters(link, record);
    // What is undefined takes the place of what the consumer had before, and is not sent.
    return {
      description,
      filter_subject: filters.length === 1 ? filters[0] : undefined,
      filter_subjects: filters.length > 1 ? filters : undefined,
    };
  }
}

function deadLetterRecord({ queue, route }: { queue: string; route: string }, topic: string): QueueRecord {
  return { queue, topic, patterns: {}, routes: [route] };
}
