import { createHash } from 'node:crypto';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { ListedQueue, QueueList, QueueScope } from '../../transport/queue-list.js';
import { hasWildcard, wordsOf } from '../../transport/topic-pattern.js';
import type { Topology } from '../../transport/topology.js';
import type { UnattendedQueue } from '../kit/former-queues.js';
import type { Link, Row } from './link.js';
import { checkSubscriptionOptions } from './options.js';
import { DEAD_LETTERS } from './publish-statement.js';
import { quoted } from '../../clients/postgres-address.js';

interface Found {
  readonly id: number;
  readonly deadLetterQueue: string | null;
  readonly deadLetterRoute: string | null;
}

/** Queues and what leads to them: rows, made and looked at here. */
export class Queues {
  private readonly s: string;
  /** Of those that this process has looked after. */
  private readonly tidied = new Set<string>();

  constructor(
    schema: string,
    private readonly topic: string,
    private readonly service: string,
    private readonly provision: boolean,
  ) {
    this.s = quoted(schema);
  }

  /** Makes it exist. The number of the queue. @throws TopologyMismatchError, InvalidOptionError */
  async declare(link: Link, topology: Topology): Promise<number> {
    const { queue, deadLetter, exclusive, native } = topology;
    checkSubscriptionOptions(native);
    const provision = this.provision && topology.provision;
    const found = await this.find(link, queue);
    const dead = deadLetter && (await this.find(link, deadLetter.queue));
    const lacking = [...(found ? [] : [queue]), ...(deadLetter && !dead ? [deadLetter.queue] : [])];
    if (!provision && lacking.length > 0)
      throw new TopologyMismatchError(
        `The queue ${lacking.map((one) => `«${one}»`).join(' and ')} does not exist. Create it, or set «provision» to true`,
      );
    const difference = found && differenceOf(topology, found);
    if (difference) throw new TopologyMismatchError(difference);
    if (!provision) return found!.id;
    if (deadLetter) {
      const deadId = dead?.id ?? (await this.make(link, deadLetter.queue));
      await this.bind(link, deadId, DEAD_LETTERS, [deadLetter.route]);
    }
    const id = await this.make(link, queue, deadLetter, exclusive?.expiresMs);
    await this.bindPatterns(link, id, topology);
    return id;
  }

  /** Tells everything that exists with other arguments, in one error. */
  async compare(link: Link, topologies: readonly Topology[]): Promise<void> {
    const differences: string[] = [];
    for (const topology of topologies) {
      const found = await this.find(link, topology.queue);
      const difference = found && differenceOf(topology, found);
      if (difference) differences.push(difference);
    }
    if (differences.length > 0) throw new TopologyMismatchError(differences.join('; '));
  }

  async unbind(link: Link, { queue }: Topology): Promise<void> {
    const text = `delete from ${this.s}.bindings b using ${this.s}.queues q where q.id = b.queue and q.name = $1 and b.topic <> $2`;
    await this.ask(link, text, [queue, DEAD_LETTERS]);
  }

  async remove(link: Link, queue: string): Promise<void> {
    await this.drop(link, 'name = $1', [queue]);
  }

  /** Exclusive queues that nobody has consumed for as long as they may be. */
  async sweep(link: Link): Promise<void> {
    const live = `exists (select from ${this.s}.consumers c where c.queue = id and c.until > now())`;
    await this.ask(link, `update ${this.s}.queues set used_at = now() where expires_ms is not null and ${live}`);
    await this.drop(link, `used_at + expires_ms * interval '1 ms' < now() and not ${live}`, []);
  }

  async depth(link: Link, queue: string): Promise<number | undefined> {
    const [row] = await this.ask(link, `select ${this.ready('q.id')} from ${this.s}.queues q where name = $1`, [queue]);
    return row && Number(row[0]);
  }

  async find(link: Link, queue: string): Promise<Found | undefined> {
    const text = `select id, dead_letter_queue, dead_letter_route from ${this.s}.queues where name = $1`;
    const [row] = await this.ask(link, text, [queue]);
    if (!row) return undefined;
    const [id, deadLetterQueue, deadLetterRoute] = row as [number, string | null, string | null];
    return { id, deadLetterQueue, deadLetterRoute };
  }

  /** Those of a service, and those of these names, each with its dead-letter queue. */
  async list(link: Link, { service, queues: wanted = [] }: QueueScope): Promise<QueueList | undefined> {
    const { s } = this;
    const text = `select q.name, q.dead_letter_queue, ${this.ready('q.id')},
  (select count(*) from ${s}.messages m where m.queue = q.id and m.lease > now()),
  (select count(*) from ${s}.consumers c where c.queue = q.id and c.until > now()),
  array(select pattern from ${s}.bindings b where b.queue = q.id and b.topic <> $1 order by 1)
from ${s}.queues q where q.name = any($2) or $3 and ($4::text is null or left(q.name, length($4) + 1) = $4 || ':') order by 1`;
    const chosen = new Map<string, ListedQueue>();
    const look = async (names: readonly string[], ofService: boolean): Promise<void> => {
      for (const row of await this.ask(link, text, [DEAD_LETTERS, names, ofService, service ?? null])) {
        const queue = listed(row);
        chosen.set(queue.name, queue);
      }
    };
    await look(wanted, service !== undefined || wanted.length === 0);
    if (service !== undefined && chosen.size === 0 && wanted.length === 0) return undefined;
    const dead = [...chosen.values()].flatMap(({ deadLetterQueue: name }) => (name === undefined ? [] : [name]));
    await look(dead, false);
    const [[waiting]] = await this.ask(link, `select count(*) from ${s}.waiting`);
    return {
      queues: [...chosen.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
      missing: [...new Set([...wanted, ...dead])].filter((name) => !chosen.has(name)).sort(),
      waiting: [{ name: `${s}.waiting`, ready: Number(waiting) }],
    };
  }

  /** Queues of this service that nobody consumes, and that hold something. */
  async unattended(link: Link, declared: ReadonlySet<string>): Promise<UnattendedQueue[]> {
    const { s } = this;
    const text = `select q.name, ${this.ready('q.id')}, array(
  select '«' || pattern || '» of «' || topic || '»' from ${s}.bindings b where b.queue = q.id and b.topic <> $2 order by 1)
from ${s}.queues q where q.service = $1 and q.expires_ms is null
and not exists (select from ${s}.consumers c where c.queue = q.id and c.until > now())
and not exists (select from ${s}.messages m where m.queue = q.id and m.lease > now())`;
    const rows = (await this.ask(link, text, [this.service, DEAD_LETTERS])) as [string, string, string[]][];
    return rows
      .filter(([name, ready, bindings]) => !declared.has(name) && bindings.length > 0 && ready !== '0')
      .map(([queue, ready, bindings]) => ({
        queue,
        messages: Number(ready),
        bindings,
        remedy: `To delete it with its messages: delete from ${s}.messages m using ${s}.queues q where q.id = m.queue and q.name = '${queue.replaceAll("'", "''")}', and the row of ${s}.queues after that`,
      }));
  }

  /** What a queue has that no consumer holds, as an expression. */
  private ready(id: string): string {
    return `(select count(*) from ${this.s}.messages m where m.queue = ${id} and m.lease <= now())
  + (select count(*) from ${this.s}.waiting w where w.queue = ${id} and w.due <= now())`;
  }

  private async make(
    link: Link,
    name: string,
    deadLetter?: Topology['deadLetter'],
    expiresMs: number | null = null,
  ): Promise<number> {
    // What is there already stays as it is, but is told: an update that changes nothing gives its number.
    const text = `insert into ${this.s}.queues as q (name, service, dead_letter_queue, dead_letter_route, expires_ms)
values ($1, $2, $3, $4, $5) on conflict (name) do update set
dead_letter_queue = coalesce(q.dead_letter_queue, excluded.dead_letter_queue),
dead_letter_route = coalesce(q.dead_letter_route, excluded.dead_letter_route), used_at = now() returning id`;
    const values = [name, this.service, deadLetter?.queue ?? null, deadLetter?.route ?? null, expiresMs];
    return (await this.ask(link, text, values))[0][0] as number;
  }

  /** What an earlier process of the service had bound, and this one does not ask for, goes, unless somebody consumes it. */
  private async bindPatterns(link: Link, id: number, { queue, topic = this.topic, patterns }: Topology): Promise<void> {
    if (patterns.length === 0) return;
    if (!this.tidied.has(queue)) {
      const text = `delete from ${this.s}.bindings where queue = $1 and topic <> $4 and not (topic = $2 and pattern = any($3))
and not exists (select from ${this.s}.consumers where queue = $1 and until > now())`;
      await this.ask(link, text, [id, topic, patterns, DEAD_LETTERS]);
      this.tidied.add(queue);
    }
    await this.bind(link, id, topic, patterns);
  }

  private async bind(link: Link, id: number, topic: string, patterns: readonly string[]): Promise<void> {
    const text = `insert into ${this.s}.bindings (topic, pattern, queue, expression)
select $2, p, $1, e from unnest($3::text[], $4::text[]) u(p, e) on conflict do nothing`;
    const expressions = patterns.map((pattern) => (topic === DEAD_LETTERS ? null : expressionOf(pattern)));
    await this.ask(link, text, [id, topic, patterns, expressions]);
  }

  private async drop(link: Link, condition: string, values: readonly unknown[]): Promise<void> {
    const { s } = this;
    const text = `with gone as (delete from ${s}.queues where ${condition} returning id),
m as (delete from ${s}.messages where queue in (select id from gone)),
k as (delete from ${s}.keys where queue in (select id from gone))
delete from ${s}.waiting where queue in (select id from gone)`;
    await this.ask(link, text, values);
  }

  private ask(link: Link, text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return link.query({ name: createHash('sha256').update(text).digest('hex').slice(0, 32), text }, values);
  }
}

/** A regular expression for a route with a dot before each word; null where a comparison will do. */
function expressionOf(pattern: string): string | null {
  if (!hasWildcard(pattern)) return null;
  const words = wordsOf(pattern).map((word) => {
    if (word === '#') return '(\\.[^.]*)*';
    return word === '*' ? '\\.[^.]*' : `\\.${word.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&')}`;
  });
  return `^${words.join('')}$`;
}

function differenceOf(
  { queue, deadLetter }: Topology,
  { deadLetterQueue, deadLetterRoute }: Found,
): string | undefined {
  if (!deadLetter || deadLetterQueue === null) return undefined;
  if (deadLetterQueue === deadLetter.queue && deadLetterRoute === deadLetter.route) return undefined;
  return `The queue «${queue}» exists with the dead-letter queue «${deadLetterQueue}», not «${deadLetter.queue}»`;
}

function listed([name, dead, ready, inFlight, consumers, routes]: Row): ListedQueue {
  return {
    name: name as string,
    ready: Number(ready),
    inFlight: Number(inFlight),
    consumers: Number(consumers),
    routes: routes as string[],
    ...(dead !== null && { deadLetterQueue: dead as string }),
  };
}
