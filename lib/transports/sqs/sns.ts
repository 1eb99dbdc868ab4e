import { isDeepStrictEqual } from 'node:util';
import type {
  CreateTopicCommandOutput,
  GetTopicAttributesCommandOutput,
  ListSubscriptionsByTopicCommandOutput,
  ListTopicsCommandOutput,
  Subscription,
} from '@aws-sdk/client-sns';
import type { Clock } from '../../clock/clock.js';
import { TopologyMismatchError, UnsupportedError } from '../../errors/configuration-errors.js';
import type { Destination, Outgoing } from '../../transport/outgoing.js';
import type { Topology } from '../../transport/topology.js';
import { wordsOf } from '../../transport/topic-pattern.js';
import { ROUTE, ROUTE_WORDS } from './codec.js';
import { isAnswer, isGone } from './errors.js';
import type { Link } from './link.js';
import { topicName } from './names.js';
import type { Settings } from './options.js';
import { arnOf, attributesOf, type QueueRecord, type Routes } from './routes.js';

/** Of a message with its attributes, and of all of one request, unless the topic has a `MaximumMessageSize`. */
const MOST_BYTES = 262_144;
/** Of the statement of a queue's policy that lets SNS send to it. */
const SID = 'NestjsMessagingSns';

/** A topic of SNS, as it was looked at last. */
export interface SnsTopic {
  readonly arn: string;
  readonly mostBytes: number;
  /** What is subscribed to it: ARNs of queues, addresses. */
  readonly endpoints: ReadonlySet<string>;
  /** When, by the monotonic clock. */
  readonly at: number;
}

interface TopicsOptions {
  readonly settings: Settings;
  readonly provision: boolean;
  readonly clock: Clock;
}

/** A queue, or a topic of SNS, and where it is. */
export interface Place {
  readonly queue: string;
  /** Of a topic its ARN. */
  readonly url: string;
  readonly sns?: SnsTopic;
}

/** Topics of SNS: what is published by a route goes there once, and SNS copies it to the queues whose filter takes the route. */
export class Topics {
  private readonly known = new Map<string, SnsTopic>();
  /** Why a topic could not be looked at the last time. */
  private readonly failures = new Map<string, Error>();
  private readonly settings: Settings;
  private readonly provision: boolean;

  constructor(
    private readonly options: TopicsOptions,
    private readonly routes: Routes,
  ) {
    ({ settings: this.settings, provision: this.provision } = options);
  }

  forget(topic: string): void {
    this.known.delete(topic);
  }

  /** Looks for topics that nobody has looked for; and, now and then, at those that nobody seems to be subscribed to. */
  async load(link: Link, batch: readonly Outgoing[]): Promise<void> {
    const names = new Set<string>();
    for (const { to } of batch) if (to.kind === 'route' && this.mustLook(to)) names.add(this.nameOf(to));
    for (const name of names) {
      this.failures.delete(name);
      try {
        this.known.set(name, await this.find(link, name));
      } catch (error) {
        if (!isAnswer(error) && !(error instanceof TopologyMismatchError)) throw error;
        this.known.delete(name);
        this.failures.set(name, error as Error);
      }
    }
  }

  /** One topic for all queues that are subscribed to it, and for subscribers that are none of ours. Undefined: SNS has no part in it. */
  placesOf(to: Destination): readonly Place[] | Error | undefined {
    const failure = to.kind === 'route' ? this.failures.get(this.nameOf(to)) : undefined;
    if (failure) return failure;
    const sns = to.kind === 'route' ? this.known.get(this.nameOf(to)) : undefined;
    if (!sns) return undefined;
    const queues = this.routes.of(to);
    const direct = queues.filter(({ subscribed }) => !subscribed);
    if (queues.length === direct.length && !this.hasOthers(sns)) return direct;
    return [{ queue: this.nameOf(to as { topic?: string }), url: sns.arn, sns }, ...direct];
  }

  /**
   * Subscribes a queue that has patterns, and no other; `found`: as it was. Whether it is subscribed from now on: before
   * anybody relies on it.
   */
  async join(link: Link, record: QueueRecord, found?: QueueRecord): Promise<boolean> {
    const { url, patterns, queue } = record;
    const isWanted = patterns.length > 0;
    if (!isWanted && !found?.subscribed) return false;
    const arn = await arnOf(link, url);
    if (isWanted) {
      const topicArn = await this.arn(link, this.nameOf(record));
      await allow(link, url, arn, topicArn);
      await subscribe(link, topicArn, arn, filterOf(patterns, queue));
    }
    if (found?.subscribed && !(isWanted && this.nameOf(found) === this.nameOf(record))) {
      const SubscriptionArn = await subscriptionOf(link, await this.arn(link, this.nameOf(found)), arn);
      const { sdk, ask } = link.sns!;
      if (SubscriptionArn !== undefined) await ask(new sdk.UnsubscribeCommand({ SubscriptionArn }));
    }
    return isWanted;
  }

  /** @throws TopologyMismatchError where a queue with patterns is not subscribed */
  async check(link: Link, topology: Topology, url: string): Promise<void> {
    const { queue, patterns } = topology;
    if (patterns.length === 0) return;
    const name = this.nameOf(topology);
    const [arn, topicArn] = await Promise.all([arnOf(link, url), this.arn(link, name)]);
    if ((await subscriptionOf(link, topicArn, arn)) !== undefined) return;
    throw new TopologyMismatchError(
      `The queue «${queue}» (${arn}) is not subscribed to the topic «${name}» (${topicArn}): subscribe it with RawMessageDelivery and the FilterPolicy ${JSON.stringify(filterOf(patterns, queue))}, or set «provision» to true`,
    );
  }

  private mustLook(to: Destination & { readonly kind: 'route' }): boolean {
    const topic = this.known.get(this.nameOf(to));
    const places = topic && this.placesOf(to);
    if (!places || places instanceof Error) return true;
    return places.length === 0 && this.options.clock.monotonic() - topic.at >= this.settings.routesRefresh;
  }

  private nameOf({ topic }: { readonly topic?: string }): string {
    return topic ?? this.settings.topic;
  }

  /** Somebody else is subscribed; a queue of ours that was deleted is nobody. */
  private hasOthers({ arn, endpoints }: SnsTopic): boolean {
    const beside = `${arn.replace(':sns:', ':sqs:').replace(/[^:]*$/, '')}${this.settings.prefix}`;
    return [...endpoints].some((endpoint) => {
      const name = endpoint.slice(endpoint.lastIndexOf(':') + 1);
      return !this.routes.owns(name) && !(endpoint.startsWith(beside) && !this.routes.listed.has(name));
    });
  }

  /** Queues that were subscribed are so again where somebody has deleted the topic. */
  private async find(link: Link, name: string): Promise<SnsTopic> {
    const at = this.options.clock.monotonic();
    const arn = await this.arn(link, name);
    const { sdk, ask } = link.sns!;
    const command = new sdk.GetTopicAttributesCommand({ TopicArn: arn });
    const { Attributes = {} } = await ask<GetTopicAttributesCommandOutput>(command);
    const endpoints = new Set((await subscriptionsOf(link, arn)).map(({ Endpoint = '' }) => Endpoint));
    for (const { url, topic, subscribed, patterns, queue } of this.provision ? this.routes.records.values() : []) {
      if (!subscribed || this.nameOf({ topic }) !== name) continue;
      const endpoint = await arnOf(link, url);
      if (!endpoints.has(endpoint)) await subscribe(link, arn, endpoint, filterOf(patterns, queue));
    }
    return { arn, mostBytes: Number(Attributes.MaximumMessageSize ?? MOST_BYTES), endpoints, at };
  }

  /** @throws TopologyMismatchError where there is none and none may be made */
  private async arn(link: Link, topic: string): Promise<string> {
    if (topic.startsWith('arn:')) return topic;
    const { prefix, fifo, host } = this.settings;
    const Name = topicName(prefix, topic, fifo);
    const { sdk, ask } = link.sns!;
    if (this.provision) {
      const command = new sdk.CreateTopicCommand({ Name, ...(fifo && { Attributes: { FifoTopic: 'true' } }) });
      return (await ask<CreateTopicCommandOutput>(command)).TopicArn!;
    }
    let NextToken: string | undefined;
    do {
      const page: ListTopicsCommandOutput = await ask(new sdk.ListTopicsCommand({ NextToken }));
      const arn = page.Topics?.find(({ TopicArn = '' }) => TopicArn.endsWith(`:${Name}`))?.TopicArn;
      if (arn !== undefined) return arn;
      ({ NextToken } = page);
    } while (NextToken !== undefined);
    throw new TopologyMismatchError(
      `The topic «${topic}» (${Name}) does not exist on SNS beside SQS at ${host}. Create it, or set «provision» to true; look also at region and account`,
    );
  }
}

/** SNS may send to the queue. What else its policy says stays. */
async function allow(link: Link, url: string, Resource: string, topicArn: string): Promise<void> {
  const { Policy } = await attributesOf(link, url, ['Policy']);
  const policy = JSON.parse(Policy || '{}') as { readonly Statement?: readonly { readonly Sid?: string }[] };
  const ours = {
    Sid: SID,
    Effect: 'Allow',
    Principal: { Service: 'sns.amazonaws.com' },
    Action: 'sqs:SendMessage',
    Resource,
    Condition: { ArnEquals: { 'aws:SourceArn': topicArn } },
  };
  const Statement = [...(policy.Statement ?? []).filter(({ Sid }) => Sid !== SID), ours];
  if (isDeepStrictEqual(policy.Statement, Statement)) return;
  const Attributes = { Policy: JSON.stringify({ Version: '2012-10-17', ...policy, Statement }) };
  await link.ask(new link.sdk.SetQueueAttributesCommand({ QueueUrl: url, Attributes }));
}

/** What the filter takes comes to the queue, as it was published. */
async function subscribe(link: Link, topicArn: string, Endpoint: string, filter: object): Promise<void> {
  const { sdk, ask } = link.sns!;
  const Attributes = { FilterPolicy: JSON.stringify(filter), RawMessageDelivery: 'true' };
  try {
    await ask(new sdk.SubscribeCommand({ TopicArn: topicArn, Protocol: 'sqs', Endpoint, Attributes }));
  } catch (error) {
    const SubscriptionArn = await subscriptionOf(link, topicArn, Endpoint);
    if (SubscriptionArn === undefined) throw error;
    for (const [AttributeName, AttributeValue] of Object.entries(Attributes))
      await ask(new sdk.SetSubscriptionAttributesCommand({ SubscriptionArn, AttributeName, AttributeValue }));
  }
}

/** Undefined: it is not subscribed. */
async function subscriptionOf(link: Link, topicArn: string, endpoint: string): Promise<string | undefined> {
  return (await subscriptionsOf(link, topicArn)).find(({ Endpoint }) => Endpoint === endpoint)?.SubscriptionArn;
}

async function subscriptionsOf(link: Link, TopicArn: string): Promise<readonly Subscription[]> {
  const { sdk, ask } = link.sns!;
  const found: Subscription[] = [];
  let NextToken: string | undefined;
  do {
    const command = new sdk.ListSubscriptionsByTopicCommand({ TopicArn, NextToken });
    try {
      const page: ListSubscriptionsByTopicCommandOutput = await ask(command);
      found.push(...(page.Subscriptions ?? []));
      ({ NextToken } = page);
    } catch (error) {
      if (isGone(error)) return [];
      throw error;
    }
  } while (NextToken !== undefined);
  return found;
}

/** What SNS is asked to hold against the attributes of a message. @throws UnsupportedError for a pattern that it cannot */
export function filterOf(patterns: readonly string[], queue: string): object {
  const plain: unknown[] = [];
  const counted: object[] = [];
  for (const pattern of patterns) {
    const words = wordsOf(pattern);
    const first = words.findIndex((word) => word === '*' || word === '#');
    const literal = first < 0 ? words : words.slice(0, first);
    const rest = words.slice(literal.length);
    const text = literal.join('.');
    const isOpen = rest.at(-1) === '#';
    const stars = rest.length - Number(isOpen);
    if (rest.slice(0, stars).some((word) => word !== '*'))
      throw new UnsupportedError(
        `A filter of SNS looks at the beginning of a route: in the pattern «${pattern}» of the queue «${queue}» words follow a wildcard. Let the wildcards be the last words, or leave \`topics: 'sns'\` out`,
      );
    const begins = literal.length === 0 ? { exists: true } : { prefix: `${text}.` };
    if (rest.length === 0) plain.push(text);
    else if (stars === 0) plain.push(...(literal.length === 0 ? [begins] : [text, begins]));
    else
      counted.push({ [ROUTE]: [begins], [ROUTE_WORDS]: [{ numeric: [isOpen ? '>=' : '=', literal.length + stars] }] });
  }
  if (counted.length === 0) return { [ROUTE]: plain };
  if (counted.length === 1 && plain.length === 0) return counted[0];
  return { $or: [...(plain.length > 0 ? [{ [ROUTE]: plain }] : []), ...counted] };
}
