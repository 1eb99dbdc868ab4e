import type { ConsumerConfig } from '@nats-io/jetstream';
import { compilePattern, type PatternMatcher, wordsOf } from '../../../transport/topic-pattern.js';
import type { Origin } from '../wire/decode.js';
import { deadLetterSubject, directSubject, routeIn, tokenOf, topicPrefix, type Names } from '../names.js';
import { collide, filtersOf, union } from './patterns.js';

/** What is known of a queue, kept in the description of its consumer: the server's filters cannot say all of it. */
export interface QueueRecord {
  readonly queue: string;
  readonly topic: string;
  /** Each pattern, with 0 or, where it was unbound, the last sequence number of the stream that it still counts for. */
  readonly patterns: Readonly<Record<string, number>>;
  /** The last sequence number of the stream before the queue was there; not known yet in the moment of its creation. */
  readonly since?: number;
  /** Patterns that came later, each with the last sequence number before it was there, or `UNKNOWN`. Left out without room. */
  readonly from?: Readonly<Record<string, number>>;
  /** Dead-letter routes that lead here. */
  readonly routes: readonly string[];
  /** The service that has declared it first. */
  readonly service?: string;
  /** Where the queue's own dead letters go. */
  readonly deadLetter?: { readonly queue: string; readonly route: string };
}

/** Until who binds a queue anew can say since when. */
export const UNKNOWN = -1;
const FORMAT = 'nestjs-messaging/1';
/** The server takes 4 KiB. */
export const MOST_DESCRIPTION = 4_000;

export function describeQueue(record: QueueRecord): string {
  return JSON.stringify({ format: FORMAT, ...record });
}

/** Who has bound it anew died before he could say since when. */
export function isUnfinished({ from = {} }: QueueRecord): boolean {
  return Object.values(from).includes(UNKNOWN);
}

export function recordOf(config: Pick<ConsumerConfig, 'description'>): QueueRecord | undefined {
  try {
    const parsed = JSON.parse(config.description ?? '') as QueueRecord & { format?: string };
    return parsed.format === FORMAT ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Of a consumer that somebody else has made. With its `config`: what its filters let in is what it is bound by. */
export function foreignRecord(
  queue: string,
  topic: string,
  config?: Pick<ConsumerConfig, 'filter_subject' | 'filter_subjects'>,
): QueueRecord {
  const prefix = topicPrefix(topic);
  const { filter_subject: one, filter_subjects: many = [one || `${prefix}>`] } = config ?? { filter_subjects: [] };
  const patterns = many.flatMap((subject) => routeIn(subject, prefix)?.replace(/(^|\.)>$/, '$1#') ?? []);
  return { queue, topic, patterns: Object.fromEntries(patterns.map((pattern) => [pattern, 0])), routes: [] };
}

/** Subjects that take everything meant for the queue; perhaps more, where a server cannot say it better. */
export function filtersFor(record: QueueRecord, names: Names, manyFilters: boolean): string[] {
  const topic = tokenOf(record.topic);
  const routed = Object.keys(record.patterns).flatMap((pattern) => filtersOf(topic, pattern));
  return union([...routed, ...privateSubjects(record, names)], manyFilters ? collide : () => true);
}

export function privateSubjects({ queue, routes }: QueueRecord, names: Names): string[] {
  return [directSubject(queue, names), ...routes.map((route) => deadLetterSubject(route, names))];
}

/** Tells what is meant for a queue of what its consumer is given. */
export class Binding {
  private readonly direct: string;
  private readonly prefix: string;
  private readonly deadLetters: ReadonlySet<string>;
  private readonly exact: Readonly<Record<string, number>>;
  private readonly matchers: readonly (readonly [PatternMatcher, number])[];

  constructor(
    readonly record: QueueRecord,
    private readonly names: Names,
  ) {
    this.direct = directSubject(record.queue, names);
    this.prefix = topicPrefix(record.topic);
    this.deadLetters = new Set(record.routes.map((route) => deadLetterSubject(route, names)));
    const patterns = Object.entries(record.patterns);
    this.exact = Object.fromEntries(patterns.filter(([pattern]) => !/[*#]/.test(pattern)));
    this.matchers = patterns
      .filter(([pattern]) => /[*#]/.test(pattern))
      .map(([pattern, until]) => [compilePattern(pattern), until] as const);
  }

  isDeadLetter(subject: string): boolean {
    return this.deadLetters.has(subject);
  }

  /** How the message came here; undefined when it is not for this queue. */
  originOf(subject: string, sequence: number): Origin | undefined {
    if (subject === this.direct) return { direct: true };
    if (this.deadLetters.has(subject)) return { direct: false, topic: `${this.names.stream}.dlq` };
    const route = routeIn(subject, this.prefix);
    if (route === undefined || !this.takes(route, sequence)) return undefined;
    return { direct: false, topic: this.record.topic, route };
  }

  /** The sequence number since which the queue takes a subject; undefined where it does not, NaN where it cannot tell yet. */
  takenSince(subject: string): number | undefined {
    const origin = this.originOf(subject, Infinity);
    if (!origin) return undefined;
    const { since = NaN, from, patterns } = this.record;
    if (origin.direct || origin.route === undefined || !from) return since;
    const words = wordsOf(origin.route);
    const matching = Object.keys(patterns).filter((one) => patterns[one] === 0 && compilePattern(one)(words));
    return Math.min(...matching.map((one) => (from[one] === UNKNOWN ? NaN : (from[one] ?? since))));
  }

  private takes(route: string, sequence: number): boolean {
    const counts = (until: number): boolean => until === 0 || sequence <= until;
    if (Object.hasOwn(this.exact, route) && counts(this.exact[route])) return true;
    if (this.matchers.length === 0) return false;
    const words = wordsOf(route);
    return this.matchers.some(([matches, until]) => counts(until) && matches(words));
  }
}
