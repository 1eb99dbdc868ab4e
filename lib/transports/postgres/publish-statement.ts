import { CONFIRMED, type Destination, type PublishResult } from '../../transport/outgoing.js';
import { DeliveryLostError } from '../../errors/handling-errors.js';
import type { BatchedSending } from '../kit/batching-publisher.js';
import { unroutable } from '../kit/envelope.js';
import { writeJsonHead } from '../kit/json-head.js';
import { listOf, type Row, type Statement } from './link.js';
import { keyOf, type PostgresDelivery } from './message.js';
import { quoted } from '../../clients/postgres-address.js';

/** The topic that dead-letter routes are bound on: no application's is empty. */
export const DEAD_LETTERS = '';

/** The delivery that a move removes. */
export interface Source {
  readonly queue: number;
  readonly delivery: PostgresDelivery;
}

type Sending = BatchedSending<Source>;

/** What became of each, and the queues that have got something. */
export interface PublishOutcomes {
  readonly results: readonly PublishResult[];
  readonly queues: ReadonlySet<number>;
}

/** Stores a batch by one statement: routes are looked up where they are, so that every binding counts that was there before. */
export class PublishStatements {
  private readonly plain: Statement;
  private readonly full: Statement;

  constructor(
    schema: string,
    private readonly topic: string,
  ) {
    this.plain = { name: 'publish', text: textOf(quoted(schema), false) };
    this.full = { name: 'publish full', text: textOf(quoted(schema), true) };
  }

  /** The statement for a batch, with its values. */
  of(sendings: readonly Sending[]): { statement: Statement; values: unknown[]; places: readonly number[] } {
    const destinations = new Map<string, number>();
    const [topics, names, places]: [(string | null)[], string[], number[]] = [[], [], []];
    const [starts, heads, bodies, ranks, keys]: [number[], number[], number[], number[], (string | null)[]] = [
      [],
      [],
      [],
      [],
      [],
    ];
    const parts: Buffer[] = [];
    let at = 1;
    for (const { outgoing } of sendings) {
      const { to, message } = outgoing;
      const [topic, name] = this.placeOf(to);
      const place = `${topic === null ? '' : `${topic.length}`} ${topic ?? ''} ${name}`;
      let number = destinations.get(place);
      if (number === undefined) {
        destinations.set(place, (number = destinations.size + 1));
        topics.push(topic);
        names.push(name);
      }
      places.push(number);
      const head = Buffer.from(
        writeJsonHead(message, topic === DEAD_LETTERS ? `${this.topic}.dlq` : (topic ?? undefined)),
      );
      starts.push(at);
      heads.push(head.length);
      bodies.push(message.body.length);
      ranks.push(rankOf(message.properties.priority));
      keys.push(keyOf(message));
      parts.push(head, message.body);
      at += head.length + message.body.length;
    }
    const numbers = [places, starts, heads, bodies, ranks, keys].map(listOf);
    const values: unknown[] = [topics, names, ...numbers, Buffer.concat(parts)];
    if (!sendings.some(({ delayMs, source }) => delayMs > 0 || source))
      return { statement: this.plain, values, places };
    values.push(
      listOf(sendings.map(({ delayMs }) => Math.max(0, delayMs))),
      listOf(sendings.map(({ source }) => source?.queue)),
      listOf(sendings.map(({ source }) => source?.delivery.rank)),
      listOf(sendings.map(({ source }) => source?.delivery.id)),
      listOf(sendings.map(({ source }) => source?.delivery.attempt)),
      listOf(sendings.map(({ outgoing }) => !outgoing.mandatory)),
    );
    return { statement: this.full, values, places };
  }

  /** What the rows of its answer mean. */
  read(sendings: readonly Sending[], places: readonly number[], rows: readonly Row[]): PublishOutcomes {
    const reached = new Set(rows.map(([place]) => place as number | null));
    const gone = new Set(rows.map(([, , id]) => id as string | null));
    const queues = new Set(rows.flatMap(([, queue]) => (queue === null ? [] : [queue as number])));
    const results = sendings.map(({ outgoing, source }, index): PublishResult => {
      if (outgoing.mandatory && !reached.has(places[index]))
        return { status: 'unroutable', error: unroutable(outgoing, this.topic) };
      if (source && !gone.has(source.delivery.id))
        return { status: 'failed', error: new DeliveryLostError('Another consumer has the message by now') };
      return CONFIRMED;
    });
    return { results, queues };
  }

  /** The topic and what is looked up there; without a topic a queue. */
  private placeOf(to: Destination): [string | null, string] {
    if (to.kind === 'route') return [to.topic ?? this.topic, to.route];
    return to.kind === 'queue' ? [null, to.queue] : [DEAD_LETTERS, to.route];
  }
}

/** The first to come is the lowest. */
function rankOf(priority = 0): number {
  return -Math.min(255, Math.max(0, Math.trunc(priority) || 0));
}

function textOf(s: string, full: boolean): string {
  const more = full ? `, $10::float8[], $11::int[], $12::smallint[], $13::bigint[], $14::int[], $15::boolean[]` : '';
  const columns = full ? ', delay, source, source_rank, source_id, source_attempt, optional' : '';
  const kept = full ? ' and (m.source is null or m.source_id in (select id from gone))' : '';
  const stored = `m.rank, m.key, convert_from(substring($9::bytea from m.start for m.head), 'UTF8')::json,
  substring($9::bytea from m.start + m.head for m.body)`;
  return `with dest as (select * from unnest($1::text[], $2::text[]) with ordinality d(topic, name, at)),
target as materialized (
  select d.at, b.queue from dest d join ${s}.bindings b on b.topic = d.topic and b.pattern = d.name and b.expression is null
  union select d.at, b.queue from dest d join ${s}.bindings b on b.topic = d.topic and ('.' || d.name) ~ b.expression
  union select d.at, q.id from dest d join ${s}.queues q on d.topic is null and q.name = d.name),
m as materialized (
  select * from unnest($3::int[], $4::int[], $5::int[], $6::int[], $7::smallint[], $8::bigint[]${more})
  with ordinality m(dest, start, head, body, rank, key${columns}, n)),
${
  full
    ? `gone as (
  delete from ${s}.messages x using m where x.queue = m.source and x.rank = m.source_rank and x.id = m.source_id
  and x.attempt = m.source_attempt and (m.optional or exists (select from target t where t.at = m.dest)) returning x.id),
later as (
  insert into ${s}.waiting (queue, due, rank, key, head, body)
  select t.queue, now() + m.delay * interval '1 ms', ${stored}
  from m join target t on t.at = m.dest where m.delay > 0${kept} order by m.n),
`
    : ''
}put as (
  insert into ${s}.messages (queue, rank, key, head, body)
  select t.queue, ${stored}
  from m join target t on t.at = m.dest where true${full ? ' and m.delay <= 0' : ''}${kept} order by m.n)
select t.at::int, t.queue, null::bigint from target t${full ? ' union all select null, null, id from gone' : ''}`;
}
