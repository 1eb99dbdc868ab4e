import { createHash } from 'node:crypto';
import type { Destination } from '../../transport/outgoing.js';
import { compilePattern, hasWildcard, wordsOf } from '../../transport/topic-pattern.js';

/** What Kafka takes of a topic's name; and what a name has of a text at most. */
const MOST_CHARACTERS = 249;
const MOST_OF_TEXT = 200;

const ROUTE = '.route.';
/** A name that was too long, as `legal` ends it. */
const CUT = /_[0-9a-f]{40}$/;

/** What the name of a topic says of the route of what is in it. */
export function routeNamedBy(name: string): { readonly topic: string; readonly route: string } {
  const at = name.indexOf(ROUTE);
  return at < 0
    ? { topic: name, route: name }
    : { topic: name.slice(0, at), route: textOf(name.slice(at + ROUTE.length)) };
}

/** What the topics and groups of one application are called. All begin with its topic, so that one rule can allow them. */
export class Names {
  /** Who sends on what is due. */
  readonly delayGroup: string;

  constructor(
    /** Of what is published without naming one. */
    readonly topic: string,
    /** Each route has a topic. */
    readonly ofRoutes = false,
  ) {
    this.delayGroup = `${topic}.delay`;
  }

  /** What is sent to a queue by its name, its retries among it; of a dead-letter queue all that it has. */
  queueTopic(queue: string): string {
    const prefix = `${this.topic}.queue.`;
    return prefix + legal(queue, Math.min(MOST_OF_TEXT, MOST_CHARACTERS - prefix.length));
  }

  /** The queue that a topic belongs to; undefined: it is of none, or its name was too long to be told. */
  queueOf(topic: string): string | undefined {
    const prefix = `${this.topic}.queue.`;
    const name = topic.slice(prefix.length);
    return topic.startsWith(prefix) && !CUT.test(name) ? textOf(name) : undefined;
  }

  /** Who reads for a queue: of another application's queue of the same name it knows nothing. */
  group(queue: string): string {
    return this.queueTopic(queue);
  }

  /** Of what is published by this route. */
  routeTopic(topic: string = this.topic, route: string): string {
    if (!this.ofRoutes) return legal(topic);
    const prefix = `${legal(topic)}${ROUTE}`;
    return prefix + legal(route, Math.min(MOST_OF_TEXT, MOST_CHARACTERS - prefix.length));
  }

  /** Of these, what a pattern may lead from: a route whose name was cut says itself what it is. */
  routeTopics(topic: string = this.topic, pattern: string, there: Iterable<string>): readonly string[] {
    if (!this.ofRoutes || !hasWildcard(pattern)) return [this.routeTopic(topic, pattern)];
    const prefix = `${legal(topic)}${ROUTE}`;
    const matches = compilePattern(pattern);
    return [...there].filter(
      (name) => name.startsWith(prefix) && (CUT.test(name) || matches(wordsOf(routeNamedBy(name).route))),
    );
  }

  delayTopic(waitMs: number): string {
    return `${this.delayGroup}.${waitMs}`;
  }

  /** `deadLetters`: the queues that dead-letter routes lead to, where those have another name. */
  topicOf(to: Destination, deadLetters: ReadonlyMap<string, string>): string {
    if (to.kind === 'route') return this.routeTopic(to.topic, to.route);
    return this.queueTopic(to.kind === 'queue' ? to.queue : (deadLetters.get(to.route) ?? to.route));
  }
}

/** Different texts stay different: `_3A` stands for a colon, `_5F` for an underscore. A long one is cut and ends in a hash. */
function legal(text: string, most = MOST_OF_TEXT): string {
  const name = text.replace(/[^A-Za-z0-9.-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `_${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
  if (name.length <= most) return name;
  return `${name.slice(0, most - 41)}_${createHash('sha256').update(text).digest('hex').slice(0, 40)}`;
}

function textOf(name: string): string {
  const bytes = name.replace(/_([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}
