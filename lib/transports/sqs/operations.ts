import type { ListedQueue, QueueList, QueueScope } from '../../transport/queue-list.js';
import type { UnattendedQueue } from '../kit/former-queues.js';
import { Limited } from '../kit/limited.js';
import { isGone } from './errors.js';
import type { Link } from './link.js';
import { attributesOf, type QueueRecord, type Routes } from './routes.js';

const READY = 'ApproximateNumberOfMessages';
const IN_FLIGHT = 'ApproximateNumberOfMessagesNotVisible';
const DELAYED = 'ApproximateNumberOfMessagesDelayed';

const MOST_AT_ONCE = 8;

/** What is known of queues. */
interface Known {
  readonly routes: Routes;
  load(link: Link): Promise<void>;
  url(link: Link, queue: string): Promise<string | undefined>;
  isConsumed(record: QueueRecord): boolean;
  nameOf(queue: string): string;
}

/** What an operator asks of queues. */
export class Operations {
  constructor(
    private readonly queues: Known,
    private readonly service: string,
  ) {}

  /** What is in a queue, as far as SQS knows by now; undefined: there is no such queue. */
  async count(link: Link, queue: string): Promise<{ readonly ready: number; readonly inFlight: number } | undefined> {
    try {
      const url = this.queues.routes.records.get(queue)?.url ?? (await this.queues.url(link, queue));
      if (url === undefined) return undefined;
      const counts = await attributesOf(link, url, [READY, IN_FLIGHT]);
      return { ready: Number(counts[READY] ?? 0), inFlight: Number(counts[IN_FLIGHT] ?? 0) };
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** Messages that are there, also those that nobody sees now. */
  async total(link: Link, url: string): Promise<number> {
    const counts = await attributesOf(link, url, [READY, IN_FLIGHT, DELAYED]);
    return [READY, IN_FLIGHT, DELAYED].reduce((sum, name) => sum + Number(counts[name] ?? 0), 0);
  }

  /** As the broker has it; makes nothing. */
  async list(link: Link, { service, queues: wanted = [] }: QueueScope): Promise<QueueList | undefined> {
    await this.queues.load(link);
    const { records } = this.queues.routes;
    const ofService = [...records.values()].filter((record) =>
      service === undefined ? wanted.length === 0 : record.service === service,
    );
    if (service !== undefined && ofService.length === 0 && wanted.length === 0) return undefined;
    const chosen = new Set([...ofService.map(({ queue }) => queue), ...wanted.filter((name) => records.has(name))]);
    for (const name of [...chosen]) {
      const { deadLetterQueue = '' } = records.get(name)!;
      if (records.has(deadLetterQueue)) chosen.add(deadLetterQueue);
    }
    const told = async (name: string): Promise<ListedQueue> => {
      const record = records.get(name)!;
      const { patterns: routes, deadLetterQueue } = record;
      const consumers = this.queues.isConsumed(record) ? 'some' : 0;
      const counts = await this.count(link, name);
      return { name, ...counts, consumers, routes, ...(deadLetterQueue !== undefined && { deadLetterQueue }) };
    };
    const few = new Limited(MOST_AT_ONCE);
    const queues = await Promise.all([...chosen].sort().map((name) => few.run(() => told(name))));
    return { queues, missing: wanted.filter((name) => !records.has(name)), waiting: [] };
  }

  async unattended(link: Link, declared: ReadonlySet<string>): Promise<UnattendedQueue[]> {
    await this.queues.load(link);
    const found: UnattendedQueue[] = [];
    for (const record of this.queues.routes.records.values()) {
      const { queue, patterns, topic } = record;
      if (record.service !== this.service || record.expiresMs !== undefined || declared.has(queue)) continue;
      if (patterns.length === 0 || this.queues.isConsumed(record)) continue;
      const { ready = 0, inFlight = 0 } = (await this.count(link, queue)) ?? {};
      if (ready === 0 || inFlight > 0) continue;
      const bindings = patterns.map((pattern) => `«${pattern}» of «${topic}»`);
      found.push({
        queue,
        messages: ready,
        bindings,
        remedy: `To delete it with its messages, delete ${this.queues.nameOf(queue)} on SQS`,
      });
    }
    return found;
  }
}
