import { isDeepStrictEqual } from 'node:util';
import type { CreateQueueCommandOutput, GetQueueUrlCommandOutput } from '@aws-sdk/client-sqs';
import type { Clock } from '../../clock/clock.js';
import { InvalidOptionError, TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { Destination, Outgoing } from '../../transport/outgoing.js';
import type { Topology } from '../../transport/topology.js';
import type { UnattendedQueue } from '../kit/former-queues.js';
import type { QueueMaker } from '../kit/single-connection-transport.js';
import { isGone } from './errors.js';
import type { Link } from './link.js';
import { queueName } from './names.js';
import { Operations } from './operations.js';
import { checkSubscriptionOptions, type Settings } from './options.js';
import { filterOf, type Place, Topics } from './sns.js';
import {
  arnOf,
  attributesOf,
  consumedTag,
  MOST_ROUTES,
  type QueueRecord,
  readRecord,
  Routes,
  surplusTags,
  tagsOf,
} from './routes.js';

/** Of a queue that is made: far above any attempts, so that only what no process of ours can handle is moved by SQS. */
export const MOST_RECEIVES = 1_000;
/** With fewer, SQS would take messages away that are still to be retried. */
const LEAST_RECEIVES = 100;
/** Fourteen days, the longest that SQS keeps a message. */
export const RETENTION_SECONDS = 1_209_600;
/** So often a consumer says that it is there, and for so long it is believed. */
export const PRESENT_EVERY_MS = 30_000;
const BELIEVED_MS = 3 * PRESENT_EVERY_MS;

export interface QueuesOptions {
  readonly settings: Settings;
  readonly service: string;
  readonly provision: boolean;
  readonly clock: Clock;
}

/** A queue as it is, and as a declaration makes it. */
export interface Standing {
  readonly wanted: Omit<QueueRecord, 'url'>;
  /** Undefined: it is not there. */
  readonly found?: QueueRecord;
}

/** Queues and what leads to them, made and looked at here. */
export class Queues implements QueueMaker<Link, QueueRecord> {
  readonly routes: Routes;
  readonly operations: Operations;
  readonly topics?: Topics;
  private loadedAt = -Infinity;
  /** Of those whose former routes this process has looked after. */
  private readonly tidied = new Set<string>();

  constructor(private readonly options: QueuesOptions) {
    const { prefix, topic } = options.settings;
    this.routes = new Routes(prefix, topic);
    this.operations = new Operations(this, options.service);
    if (options.settings.topics === 'sns') this.topics = new Topics(options, this.routes);
  }

  /** What is written of the topic of a message; undefined for one that goes to a queue by name. */
  topicOf(to: Destination): string | undefined {
    if (to.kind === 'queue') return undefined;
    const { topic } = this.options.settings;
    return to.kind === 'route' ? (to.topic ?? topic) : `${topic}.dlq`;
  }

  /** The places of each message, or why nobody can tell. What nobody seems to take is looked for once more. */
  async find(link: Link, batch: readonly Outgoing[]): Promise<readonly (readonly Place[] | Error)[]> {
    const { clock, settings } = this.options;
    // Of a queue that is known by its name nothing else is asked: one that is gone says so.
    const isOpen = batch.some(({ to }) => to.kind !== 'queue' || !this.routes.records.has(to.queue));
    const isOld = isOpen && clock.monotonic() - this.loadedAt >= settings.routesRefresh;
    if (isOld) await this.load(link);
    await this.topics?.load(link, batch);
    const found = batch.map(({ to }) => this.placesOf(to));
    if (isOld || found.every((places) => places instanceof Error || places.length > 0)) return found;
    await this.load(link);
    await this.topics?.load(link, batch);
    return batch.map(({ to }) => this.placesOf(to));
  }

  async load(link: Link): Promise<void> {
    const { clock } = this.options;
    const since = clock.monotonic();
    await this.routes.load(link);
    this.loadedAt = since;
  }

  private placesOf(to: Destination): readonly Place[] | Error {
    return this.topics?.placesOf(to) ?? this.routes.of(to);
  }

  forget(queue: string): void {
    this.routes.forget(queue);
  }

  /** Makes it exist, and tells where. @throws TopologyMismatchError, InvalidOptionError */
  async declare(link: Link, topology: Topology): Promise<QueueRecord> {
    const { queue } = topology;
    const provision = this.options.provision && topology.provision;
    const { own, dead } = await this.standing(link, topology);
    const { found } = own;
    const lacking = [own, dead].flatMap((one) => (one && !one.found ? [one.wanted.queue] : []));
    if (!provision && lacking.length > 0) throw new TopologyMismatchError(this.lacks(lacking));
    const difference = differenceOf(topology, found);
    if (difference !== undefined) throw new TopologyMismatchError(difference);
    if (!provision) {
      await this.hasRedrive(link, queue, found!.url);
      await this.topics?.check(link, topology, found!.url);
      this.routes.put(found!);
      return found!;
    }
    const made = dead && (await this.make(link, dead.wanted, dead.found));
    return this.make(link, own.wanted, found, made && (await arnOf(link, made.url)));
  }

  /** The queue and its dead-letter queue: as they are, and as a declaration makes them. @throws InvalidOptionError */
  async standing(link: Link, topology: Topology): Promise<{ readonly own: Standing; readonly dead?: Standing }> {
    const { service, settings } = this.options;
    const { queue, deadLetter, exclusive, native, topic = settings.topic, patterns } = topology;
    checkSubscriptionOptions(native);
    if (queue.startsWith('arn:'))
      throw new InvalidOptionError(
        'queue',
        queue,
        'a name. Nobody can consume from a topic of SNS, which keeps nothing: leave `queue` out or give it a name, set `topics: "sns"` of the transport, and the ARN as `topic`',
      );
    if (patterns.length > MOST_ROUTES)
      throw new InvalidOptionError(
        'routes',
        `${patterns.length} of «${queue}»`,
        `at most ${MOST_ROUTES}: they stand in the tags of the queue`,
      );
    if (this.topics) filterOf(patterns, queue);
    const [found, foundDead] = await Promise.all(
      [queue, deadLetter?.queue].map(async (name) => {
        const url = name === undefined ? undefined : await this.url(link, name);
        return url === undefined ? undefined : recordAt(link, url, name!);
      }),
    );
    const kept = found === undefined ? [] : this.kept(found, patterns);
    const wanted = {
      service,
      ...found,
      queue,
      topic: patterns.length > 0 ? topic : (found?.topic ?? topic),
      patterns: [...new Set([...patterns, ...kept])],
      ...(deadLetter && { deadLetterQueue: deadLetter.queue, deadLetterRoute: deadLetter.route }),
      ...(exclusive && { expiresMs: exclusive.expiresMs }),
    };
    const own = { wanted, found };
    if (!deadLetter) return { own };
    const taking = { service, patterns: [], ...foundDead, queue: deadLetter.queue, takes: deadLetter.route };
    return { own, dead: { wanted: taking, found: foundDead } };
  }

  async remove(link: Link, queue: string): Promise<void> {
    const url = await this.url(link, queue);
    const record = this.routes.records.get(queue);
    this.routes.forget(queue);
    if (url === undefined) return;
    // A subscription outlives its queue.
    if (record) await this.topics?.join(link, { ...record, patterns: [] }, record).catch(() => {});
    await link.ask(new link.sdk.DeleteQueueCommand({ QueueUrl: url })).catch((error: unknown) => {
      if (!isGone(error)) throw error;
    });
  }

  /** Looks, and makes nothing. @throws TopologyMismatchError */
  async compare(link: Link, topologies: readonly Topology[]): Promise<void> {
    await this.load(link);
    const differences = topologies.map((topology) => differenceOf(topology, this.routes.records.get(topology.queue)));
    const found = differences.filter((one) => one !== undefined);
    if (found.length > 0) throw new TopologyMismatchError(found.join('; '));
  }

  /** Of a queue that is there. @throws TopologyMismatchError for what no declaration changes */
  async check(link: Link, topology: Topology, found: QueueRecord): Promise<void> {
    const difference = differenceOf(topology, found);
    if (difference !== undefined) throw new TopologyMismatchError(difference);
    if (topology.deadLetter) await this.hasRedrive(link, topology.queue, found.url);
  }

  async unbind(link: Link, { queue }: Topology): Promise<void> {
    const url = await this.url(link, queue);
    const found = url === undefined ? undefined : await recordAt(link, url, queue);
    if (found) await this.make(link, { ...found, patterns: [] }, found);
  }

  unattended(link: Link, declared: ReadonlySet<string>): Promise<readonly UnattendedQueue[]> {
    return this.operations.unattended(link, declared);
  }

  /** Says that somebody consumes the queue. */
  async present(link: Link, url: string, by: string): Promise<void> {
    if (!this.options.provision) return;
    const { clock } = this.options;
    await link.ask(new link.sdk.TagQueueCommand({ QueueUrl: url, Tags: consumedTag(clock.now(), by) }));
  }

  /** Takes that back; another consumer that is there says so within half a minute. */
  async absent(link: Link, url: string, by: string): Promise<void> {
    if (!this.options.provision) return;
    const record = await readRecord(link, url);
    if (record?.consumed?.by !== by) return;
    await link.ask(new link.sdk.UntagQueueCommand({ QueueUrl: url, TagKeys: Object.keys(consumedTag(0, by)) }));
  }

  /** Undefined: it is not there. */
  async url(link: Link, queue: string): Promise<string | undefined> {
    try {
      const QueueName = this.nameOf(queue);
      return (await link.ask<GetQueueUrlCommandOutput>(new link.sdk.GetQueueUrlCommand({ QueueName }))).QueueUrl;
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  isConsumed({ consumed }: QueueRecord): boolean {
    return consumed !== undefined && this.options.clock.now() - consumed.at < BELIEVED_MS;
  }

  nameOf(queue: string): string {
    const { prefix, fifo } = this.options.settings;
    return queueName(prefix, queue, fifo ? '.fifo' : '');
  }

  private lacks(queues: readonly string[]): string {
    const { host } = this.options.settings;
    const names = queues.map((queue) => `«${queue}» (${this.nameOf(queue)})`).join(' and ');
    return `The queue ${names} does not exist on SQS at ${host}. Create it, or set «provision» to true; look also at region and account`;
  }

  /** What an earlier process of the service had bound stays while somebody consumes the queue. */
  private kept(found: QueueRecord, wanted: readonly string[]): readonly string[] {
    if (wanted.length === 0 || this.tidied.has(found.queue) || this.isConsumed(found)) return found.patterns;
    return [];
  }

  private async make(
    link: Link,
    record: Omit<QueueRecord, 'url'>,
    found: QueueRecord | undefined,
    deadLetterArn?: string,
  ): Promise<QueueRecord> {
    const { settings } = this.options;
    const { sdk } = link;
    const policy =
      deadLetterArn && JSON.stringify({ deadLetterTargetArn: deadLetterArn, maxReceiveCount: MOST_RECEIVES });
    let url = found?.url;
    if (url === undefined) {
      const Attributes = {
        VisibilityTimeout: String(settings.lease / 1_000),
        MessageRetentionPeriod: String(RETENTION_SECONDS),
        ...(policy && { RedrivePolicy: policy }),
        ...(settings.fifo && { FifoQueue: 'true' }),
      };
      const QueueName = this.nameOf(record.queue);
      url = (await link.ask<CreateQueueCommandOutput>(new sdk.CreateQueueCommand({ QueueName, Attributes }))).QueueUrl!;
    } else if (policy && !(await this.hasRedrive(link, record.queue, url)))
      await link.ask(new sdk.SetQueueAttributesCommand({ QueueUrl: url, Attributes: { RedrivePolicy: policy } }));
    if (this.topics) record = { ...record, subscribed: await this.topics.join(link, { ...record, url }, found) };
    // Its filter is as it was: publishers send the queue its copies themselves.
    else if (found?.subscribed && !isSameBinding(record, found)) record = { ...record, subscribed: false };
    const tags = tagsOf(record);
    const had = found ? tagsOf(found) : {};
    const TagKeys = surplusTags(Object.keys(had), tags);
    if (Object.entries(tags).some(([name, value]) => had[name] !== value))
      await link.ask(new sdk.TagQueueCommand({ QueueUrl: url, Tags: tags }));
    if (TagKeys.length > 0) await link.ask(new sdk.UntagQueueCommand({ QueueUrl: url, TagKeys }));
    if (record.patterns.length > 0) this.tidied.add(record.queue);
    const made = { ...record, url };
    this.routes.put(made);
    return made;
  }

  /** Whether SQS moves messages away by itself. @throws TopologyMismatchError where it does so before their retries are over */
  async hasRedrive(link: Link, queue: string, url: string): Promise<boolean> {
    const { RedrivePolicy } = await attributesOf(link, url, ['RedrivePolicy']);
    if (RedrivePolicy === undefined || RedrivePolicy === '') return false;
    const { maxReceiveCount } = JSON.parse(RedrivePolicy) as { readonly maxReceiveCount?: number | string };
    if (Number(maxReceiveCount) >= LEAST_RECEIVES) return true;
    throw new TopologyMismatchError(
      `The queue «${queue}» has a redrive policy with maxReceiveCount ${maxReceiveCount}: SQS would move messages away before their retries are over, and without a reason. Raise it to ${LEAST_RECEIVES} at least (${MOST_RECEIVES} where this package makes it), or take the policy away`,
    );
  }
}

/** Of one without tags, which somebody else has made: its name. */
async function recordAt(link: Link, url: string, queue: string): Promise<QueueRecord> {
  return (await readRecord(link, url)) ?? { queue, url, patterns: [] };
}

function isSameBinding(one: Omit<QueueRecord, 'url'>, other: QueueRecord): boolean {
  return one.topic === other.topic && isDeepStrictEqual([...one.patterns].sort(), [...other.patterns].sort());
}

function differenceOf({ queue, deadLetter }: Topology, found?: QueueRecord): string | undefined {
  if (!deadLetter || found?.deadLetterQueue === undefined) return undefined;
  if (found.deadLetterQueue === deadLetter.queue && found.deadLetterRoute === deadLetter.route) return undefined;
  return `The queue «${queue}» exists with the dead-letter queue «${found.deadLetterQueue}», not «${deadLetter.queue}»`;
}
