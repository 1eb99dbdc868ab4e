import type { StoredMsg } from '@nats-io/jetstream';
import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import { nameOf } from '../../../message/message-name.js';
import type { Delivery } from '../../../transport/delivery.js';
import type { Browser } from '../../../transport/queue-operations.js';
import { header } from '../../../message/headers.js';
import { hasWildcard } from '../../../transport/topic-pattern.js';
import { Binding, privateSubjects, type QueueRecord, recordOf } from '../topology/binding.js';
import { describe } from '../connection/broker-errors.js';
import { decode } from '../wire/decode.js';
import type { Link } from '../connection/link.js';
import { tokenOf, type Names } from '../names.js';
import { filtersOf, overlap, union } from '../topology/patterns.js';
import type { Queue, Queues } from '../topology/queues.js';

/** A subject to be read, from a sequence number on. */
interface Track {
  readonly filter: string;
  from: number;
  head?: StoredMsg;
}

/** Deletions under way at a time: what a process has redriven and not deleted when it dies, is redriven twice. */
const MAX_DELETIONS = 25;

export interface BrowserOptions {
  readonly link: Link;
  readonly names: Names;
  readonly queues: Pick<Queues, 'find'>;
  readonly warn: (message: string) => void;
  readonly redact: (text: string) => string;
}

/**
 * Reads the messages of a queue out of the stream; its consumer does not notice. Of what came by a route, that is what
 * was not delivered yet: the server does not tell which of the delivered ones are unsettled. What was sent to this queue
 * alone (dead letters, copies) is in the stream until it is acked.
 */
export class QueueBrowser implements Browser {
  private closed = false;
  private readonly deletions = new Set<Promise<boolean>>();
  private deleted = 0;
  private shown = 0;
  private sources?: Promise<QueueRecord[]>;

  private constructor(
    private readonly options: BrowserOptions,
    private readonly queue: Queue,
    private readonly binding: Binding,
    private readonly tracks: readonly Track[],
    private readonly last: number,
    /** Messages of the queue's own subjects when the first look began. */
    private readonly count: number,
  ) {}

  /** Rejects with a TopologyMismatchError where there is no such queue. */
  static async open(name: string, options: BrowserOptions, rest?: QueueBrowser): Promise<QueueBrowser> {
    const { link, names, queues } = options;
    const queue = await queues.find(link, name);
    if (!queue) throw new TopologyMismatchError(`There is no queue «${name}» to read`);
    const tracks = tracksOf(queue, names);
    const binding = new Binding(queue.record, names);
    if (rest) return new QueueBrowser(options, queue, binding, tracks, rest.last, rest.count - rest.deleted);
    const { state } = await link.manager.streams.info(names.stream);
    return new QueueBrowser(options, queue, binding, tracks, state.last_seq, await countOwn(queue, options));
  }

  async next(): Promise<Delivery | undefined> {
    for (;;) {
      while (this.deletions.size >= MAX_DELETIONS) await Promise.race(this.deletions);
      if (this.closed) return undefined;
      await Promise.all(this.tracks.map((track) => this.fill(track)));
      const track = this.tracks.reduce<Track | undefined>(
        (first, other) => (other.head && (!first?.head || other.head.seq < first.head.seq) ? other : first),
        undefined,
      );
      const message = track?.head;
      if (!track || !message) return undefined;
      track.head = undefined;
      track.from = message.seq + 1;
      this.shown++;
      const delivery = this.deliver(message);
      if (delivery) return this.isTraced(delivery) ? delivery : this.traced(delivery);
    }
  }

  async arrived(): Promise<number> {
    await Promise.all(this.deletions);
    return Math.max(0, (await countOwn(this.queue, this.options)) - (this.count - this.deleted));
  }

  /** What others have deleted of what was shown is missed twice: the count errs towards too few. */
  async behind(): Promise<number> {
    await Promise.all(this.deletions);
    return Math.max(0, (await countOwn(this.queue, this.options)) - (this.shown - this.deleted));
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.deletions);
  }

  private async fill(track: Track): Promise<void> {
    if (track.head || track.from > this.last) return;
    const { link, names } = this.options;
    const query = { seq: track.from, next_by_subj: track.filter };
    const head = await link.manager.streams.getMessage(names.stream, query);
    if (head && head.seq <= this.last) track.head = head;
    else track.from = this.last + 1;
  }

  private isTraced({ message: { headers }, raw }: Delivery): boolean {
    if (headers[header.originQueue] !== undefined && headers[header.originRoute] !== undefined) return true;
    return !this.binding.isDeadLetter((raw as StoredMsg).subject);
  }

  /** A dead letter had no room to say where it came from: from the one queue that this is the dead-letter queue of. */
  private async traced(delivery: Delivery): Promise<Delivery> {
    const sources = await (this.sources ??= this.findSources());
    const { message } = delivery;
    const told = message.headers[header.originQueue];
    const found = sources.filter(({ queue }) => told === undefined || queue === told);
    if (found.length !== 1) return delivery;
    const [{ queue, patterns }] = found;
    const routes = Object.keys(patterns);
    const isOne = routes.length === 1 && !hasWildcard(routes[0]);
    const origin = { [header.originQueue]: queue, ...(isOne && { [header.originRoute]: routes[0] }) };
    return { ...delivery, message: { ...message, headers: { ...origin, ...message.headers } } };
  }

  private async findSources(): Promise<QueueRecord[]> {
    const { link, names } = this.options;
    const found: QueueRecord[] = [];
    for await (const { config } of link.manager.consumers.list(names.stream)) {
      const record = recordOf(config);
      if (record?.deadLetter?.queue === this.queue.record.queue) found.push(record);
    }
    return found;
  }

  private deliver(message: StoredMsg): Delivery | undefined {
    const origin = this.binding.originOf(message.subject, message.seq);
    if (!origin) return undefined;
    const { queue } = this.queue.record;
    const decoded = decode(message.data, message.header, queue, origin);
    let settled = false;
    const settle = (): Promise<boolean> => {
      const deletion = !settled && !this.closed ? this.delete(message, nameOf(decoded)) : Promise.resolve(false);
      settled = true;
      return deletion;
    };
    return {
      message: decoded,
      queue,
      direct: origin.direct,
      topic: origin.topic,
      raw: message,
      ack: () => void settle(),
      ackConfirmed: () => settle(),
      release: () => {
        settled = true;
      },
    };
  }

  private delete(message: StoredMsg, name: string): Promise<boolean> {
    const deletion = this.remove(message, name)
      .catch((error: unknown) => {
        const { warn, redact } = this.options;
        warn(`«${this.queue.record.queue}»: ${name} could not be deleted: ${redact(describe(error))}`);
        return false;
      })
      .finally(() => this.deletions.delete(deletion));
    this.deletions.add(deletion);
    return deletion;
  }

  /** What other queues have not handled yet stays: deleted, it would be lost to them. */
  private async remove({ subject, seq }: StoredMsg, name: string): Promise<boolean> {
    const { link, names, warn } = this.options;
    const { queue } = this.queue.record;
    for await (const { config } of link.manager.consumers.list(names.stream)) {
      const record = recordOf(config);
      if (!record || record.queue === queue || !new Binding(record, names).originOf(subject, seq)) continue;
      warn(`«${queue}»: ${name} was not deleted: it is meant for «${record.queue}» as well`);
      return false;
    }
    if (!(await link.manager.streams.deleteMessage(names.stream, seq, false))) return false;
    this.deleted++;
    return true;
  }
}

/** What is in the stream for this queue alone. */
async function countOwn({ record }: Queue, { link, names }: BrowserOptions): Promise<number> {
  let count = 0;
  for (const subject of privateSubjects(record, names)) {
    const { state } = await link.manager.streams.info(names.stream, { subjects_filter: subject });
    count += state.subjects?.[subject] ?? 0;
  }
  return count;
}

function tracksOf({ record, info }: Queue, names: Names): Track[] {
  const topic = tokenOf(record.topic);
  const routed = Object.keys(record.patterns).flatMap((pattern) => filtersOf(topic, pattern));
  const from = info.delivered.stream_seq + 1;
  return [
    ...privateSubjects(record, names).map((filter) => ({ filter, from: 1 })),
    ...union(routed, overlap).map((filter) => ({ filter, from })),
  ];
}
