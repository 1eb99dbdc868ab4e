import type { Destination } from '../../transport/outgoing.js';
import { compilePattern, hasWildcard, type PatternMatcher, wordsOf } from '../../transport/topic-pattern.js';
import type { Link } from './link.js';
import { scripts } from './scripts.js';

/** The keys of one queue, in the order in which scripts take them; the last one is that of all queues. */
export type QueueKeys = readonly [
  stream: string,
  consumers: string,
  waiting: string,
  returned: string,
  parked: string,
  free: string,
  keys: string,
  idle: string,
];

/** How things are called on the server. Everything has one hash tag, so that a cluster keeps it in one slot. */
export class Names {
  readonly version: string;
  readonly queues: string;
  readonly bindings: string;
  readonly expiring: string;
  /** The queues of consumers that have nothing to do. */
  readonly idle: string;
  readonly channel: string;
  readonly probe: string;
  private readonly known = new Map<string, QueueKeys>();

  constructor(private readonly prefix: string) {
    const name = (what: string): string => `{${prefix}}:${what}`;
    this.version = name('version');
    this.queues = name('queues');
    this.bindings = name('bindings');
    this.expiring = name('expiring');
    this.idle = name('idle');
    this.channel = name('wake');
    this.probe = name('probe');
  }

  publisher(id: string): string {
    return `{${this.prefix}}:publisher:${id}`;
  }

  queue(queue: string): QueueKeys {
    let keys = this.known.get(queue);
    if (!keys) {
      const kinds = ['stream', 'consumers', 'waiting', 'returned', 'parked', 'free', 'keys'];
      keys = [...kinds.map((kind) => `{${this.prefix}}:${kind}:${queue}`), this.idle] as unknown as QueueKeys;
      this.known.set(queue, keys);
    }
    return keys;
  }
}

/** The topic that dead-letter routes are bound on: no application's is empty. */
export const DEAD_LETTERS = '';
/** So many routes are remembered. */
const MOST_KNOWN = 10_000;

/** What is known of a queue beside its messages. */
export interface QueueRecord {
  readonly service?: string;
  readonly deadLetterQueue?: string;
  readonly deadLetterRoute?: string;
  readonly expiresMs?: number;
}

export interface Binding {
  readonly topic: string;
  readonly pattern: string;
  readonly queue: string;
}

interface Topic {
  readonly exact: Map<string, string[]>;
  readonly patterns: { readonly matches: PatternMatcher; readonly queue: string }[];
}

export function fieldOf({ topic, pattern, queue }: Binding): string {
  return `${topic}\0${pattern}\0${queue}`;
}

/** Which queues a message goes to, as the server had it at one moment; a script that finds another version refuses. */
export class Routes {
  version = '';
  queues: ReadonlyMap<string, QueueRecord> = new Map();
  bindings: readonly Binding[] = [];
  private topics = new Map<string, Topic>();
  private known = new Map<string, readonly string[]>();

  constructor(
    private readonly names: Names,
    readonly topic: string,
  ) {}

  async load(link: Link): Promise<void> {
    const { version, queues, bindings } = this.names;
    const [read, records, fields] = await link.run<[string, string[], string[]]>(scripts.table, [
      version,
      queues,
      bindings,
    ]);
    this.queues = new Map(pairs(records).map(([queue, text]) => [queue, recordOf(text)]));
    this.bindings = pairs(fields).map(([field]) => {
      const [topic, pattern, queue] = field.split('\0');
      return { topic, pattern, queue };
    });
    this.topics = new Map();
    for (const binding of this.bindings) this.add(binding);
    this.known = new Map();
    this.version = read;
  }

  /** The queues for a message. */
  of(to: Destination): readonly string[] {
    if (to.kind === 'queue') return this.queues.has(to.queue) ? [to.queue] : [];
    const topic = to.kind === 'route' ? (to.topic ?? this.topic) : DEAD_LETTERS;
    const place = `${topic}\0${to.route}`;
    let queues = this.known.get(place);
    if (queues === undefined) {
      queues = this.find(topic, to.route);
      if (this.known.size >= MOST_KNOWN) this.known.clear();
      this.known.set(place, queues);
    }
    return queues;
  }

  /** What is written of the topic of a message; undefined for one that goes to a queue by name. */
  topicOf(to: Destination): string | undefined {
    if (to.kind === 'queue') return undefined;
    return to.kind === 'route' ? (to.topic ?? this.topic) : `${this.topic}.dlq`;
  }

  boundTo(queue: string): readonly Binding[] {
    return this.bindings.filter((binding) => binding.queue === queue && binding.topic !== DEAD_LETTERS);
  }

  private add({ topic: name, pattern, queue }: Binding): void {
    let topic = this.topics.get(name);
    if (!topic) this.topics.set(name, (topic = { exact: new Map(), patterns: [] }));
    if (name !== DEAD_LETTERS && hasWildcard(pattern)) topic.patterns.push({ matches: compilePattern(pattern), queue });
    else topic.exact.set(pattern, [...(topic.exact.get(pattern) ?? []), queue]);
  }

  private find(name: string, route: string): readonly string[] {
    const topic = this.topics.get(name);
    if (!topic) return [];
    const words = wordsOf(route);
    const matching = topic.patterns.filter(({ matches }) => matches(words)).map(({ queue }) => queue);
    return [...new Set([...(topic.exact.get(route) ?? []), ...matching])];
  }
}

function pairs(list: readonly string[]): [string, string][] {
  return Array.from({ length: list.length / 2 }, (_, at) => [list[2 * at], list[2 * at + 1]]);
}

function recordOf(text: string): QueueRecord {
  try {
    return JSON.parse(text) as QueueRecord;
  } catch {
    return {};
  }
}
