import type {
  GetQueueAttributesCommandOutput,
  ListQueuesCommandOutput,
  ListQueueTagsCommandOutput,
  QueueAttributeName,
} from '@aws-sdk/client-sqs';
import type { Destination } from '../../transport/outgoing.js';
import { compilePattern, hasWildcard, type PatternMatcher, wordsOf } from '../../transport/topic-pattern.js';
import { Limited } from '../kit/limited.js';
import { isGone } from './errors.js';
import type { Link } from './link.js';
import { fromTagValue, tagValue } from './names.js';

/** Tags of a queue of ours. SQS takes 50 of a queue, with values of 256 characters. */
const tag = {
  queue: 'messaging-queue',
  service: 'messaging-service',
  topic: 'messaging-topic',
  route: 'messaging-route-',
  deadLetterQueue: 'messaging-dead-letter-queue',
  deadLetterRoute: 'messaging-dead-letter-route',
  /** Of a dead-letter queue: the route that leads to it. */
  takes: 'messaging-dead-letters-of',
  expires: 'messaging-expires',
  consumed: 'messaging-consumed',
  /** Of a queue that gets what is published from SNS. */
  subscribed: 'messaging-sns',
} as const;

export const MOST_ROUTES = 38;
const MOST_AT_ONCE = 8;
const MOST_KNOWN = 10_000;
/** The topic that dead-letter routes are bound on: no application's is empty. */
const DEAD_LETTERS = '';

/** What the tags of a queue say of it. */
export interface QueueRecord {
  readonly queue: string;
  readonly url: string;
  readonly service?: string;
  readonly topic?: string;
  readonly patterns: readonly string[];
  readonly deadLetterQueue?: string;
  readonly deadLetterRoute?: string;
  readonly takes?: string;
  readonly expiresMs?: number;
  /** It is subscribed to its topic on SNS: who publishes there does not send it a copy. */
  readonly subscribed?: boolean;
  /** Who has consumed it last, and when, in milliseconds of its own clock. */
  readonly consumed?: { readonly at: number; readonly by: string };
}

/** The tags that say this; `consumed` is written by itself. */
export function tagsOf(record: Omit<QueueRecord, 'url'>): Record<string, string> {
  const tags: Record<string, string> = { [tag.queue]: tagValue(record.queue) };
  const put = (name: string, value: string | undefined): void => {
    if (value !== undefined) tags[name] = tagValue(value);
  };
  put(tag.service, record.service);
  put(tag.topic, record.topic);
  record.patterns.forEach((pattern, at) => put(`${tag.route}${at}`, pattern));
  put(tag.deadLetterQueue, record.deadLetterQueue);
  put(tag.deadLetterRoute, record.deadLetterRoute);
  put(tag.takes, record.takes);
  put(tag.subscribed, record.subscribed ? 'yes' : undefined);
  put(tag.expires, record.expiresMs === undefined ? undefined : String(record.expiresMs));
  return tags;
}

export function consumedTag(at: number, by: string): Record<string, string> {
  return { [tag.consumed]: tagValue(`${at}/${by}`) };
}

/** Names of tags that are there and not in `wanted`, of those that hold routes; and who consumes, where that is told. */
export function surplusTags(found: readonly string[], wanted: Readonly<Record<string, string>>): string[] {
  return found.filter((name) => (name.startsWith(tag.route) || name === tag.subscribed) && !(name in wanted));
}

function recordOf(url: string, tags: Readonly<Record<string, string>>): QueueRecord | undefined {
  if (tags[tag.queue] === undefined) return undefined;
  const get = (name: string): string | undefined => (tags[name] === undefined ? undefined : fromTagValue(tags[name]));
  const [at, by] = get(tag.consumed)?.split('/') ?? [];
  const routes = Object.keys(tags).filter((name) => name.startsWith(tag.route));
  return {
    queue: fromTagValue(tags[tag.queue]),
    url,
    service: get(tag.service),
    topic: get(tag.topic),
    patterns: routes.sort().map((name) => fromTagValue(tags[name])),
    deadLetterQueue: get(tag.deadLetterQueue),
    deadLetterRoute: get(tag.deadLetterRoute),
    takes: get(tag.takes),
    expiresMs: tags[tag.expires] === undefined ? undefined : Number(tags[tag.expires]),
    subscribed: tag.subscribed in tags,
    consumed: at === undefined ? undefined : { at: Number(at), by },
  };
}

export async function readRecord(link: Link, url: string): Promise<QueueRecord | undefined> {
  try {
    const command = new link.sdk.ListQueueTagsCommand({ QueueUrl: url });
    const { Tags = {} } = await link.ask<ListQueueTagsCommandOutput>(command);
    return recordOf(url, Tags);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

export async function attributesOf(
  link: Link,
  url: string,
  AttributeNames: QueueAttributeName[],
): Promise<Readonly<Record<string, string>>> {
  const command = new link.sdk.GetQueueAttributesCommand({ QueueUrl: url, AttributeNames });
  return (await link.ask<GetQueueAttributesCommandOutput>(command)).Attributes ?? {};
}

export async function arnOf(link: Link, url: string): Promise<string> {
  return (await attributesOf(link, url, ['QueueArn'])).QueueArn;
}

/** Which queues a message goes to. SQS knows no routes: what a queue is bound by stands in its tags. */
export class Routes {
  records: ReadonlyMap<string, QueueRecord> = new Map();
  /** The names on SQS of all that begin with the prefix, when it was looked last. */
  listed: ReadonlySet<string> = new Set();
  private topics = new Map<string, Topic>();
  private known = new Map<string, readonly QueueRecord[]>();

  constructor(
    private readonly prefix: string,
    private readonly topic: string,
  ) {}

  async load(link: Link): Promise<void> {
    const urls: string[] = [];
    let NextToken: string | undefined;
    do {
      const command = new link.sdk.ListQueuesCommand({ QueueNamePrefix: this.prefix, MaxResults: 1_000, NextToken });
      const page: ListQueuesCommandOutput = await link.ask(command);
      urls.push(...(page.QueueUrls ?? []));
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    this.listed = new Set(urls.map(nameIn));
    const few = new Limited(MOST_AT_ONCE);
    const records = await Promise.all(urls.map((url) => few.run(() => readRecord(link, url))));
    this.use(records.filter((record) => record !== undefined));
  }

  /** This queue is so from now on. */
  put(record: QueueRecord): void {
    this.use([...this.records.values()].filter(({ queue }) => queue !== record.queue).concat(record));
  }

  forget(queue: string): void {
    this.use([...this.records.values()].filter((record) => record.queue !== queue));
  }

  /** By its name on SQS. */
  owns(name: string): boolean {
    return [...this.records.values()].some(({ url }) => nameIn(url) === name);
  }

  of(to: Destination): readonly QueueRecord[] {
    if (to.kind === 'queue') {
      const record = this.records.get(to.queue);
      return record ? [record] : [];
    }
    const topic = to.kind === 'route' ? (to.topic ?? this.topic) : DEAD_LETTERS;
    const place = `${topic}\0${to.route}`;
    let found = this.known.get(place);
    if (found === undefined) {
      found = this.find(topic, to.route);
      if (this.known.size >= MOST_KNOWN) this.known.clear();
      this.known.set(place, found);
    }
    return found;
  }

  private use(records: readonly QueueRecord[]): void {
    this.records = new Map(records.map((record) => [record.queue, record]));
    this.topics = new Map();
    this.known = new Map();
    for (const record of records) {
      if (record.takes !== undefined) this.bind(DEAD_LETTERS, record.takes, record);
      for (const pattern of record.patterns) this.bind(record.topic ?? this.topic, pattern, record);
    }
  }

  private bind(name: string, pattern: string, record: QueueRecord): void {
    let topic = this.topics.get(name);
    if (!topic) this.topics.set(name, (topic = { exact: new Map(), patterns: [] }));
    if (name !== DEAD_LETTERS && hasWildcard(pattern))
      topic.patterns.push({ matches: compilePattern(pattern), record });
    else topic.exact.set(pattern, [...(topic.exact.get(pattern) ?? []), record]);
  }

  private find(name: string, route: string): readonly QueueRecord[] {
    const topic = this.topics.get(name);
    if (!topic) return [];
    const words = wordsOf(route);
    const matching = topic.patterns.filter(({ matches }) => matches(words)).map(({ record }) => record);
    return [...new Set([...(topic.exact.get(route) ?? []), ...matching])];
  }
}

const nameIn = (url: string): string => url.slice(url.lastIndexOf('/') + 1);

interface Topic {
  readonly exact: Map<string, QueueRecord[]>;
  readonly patterns: { readonly matches: PatternMatcher; readonly record: QueueRecord }[];
}
