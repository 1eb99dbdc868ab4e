import { randomUUID } from 'node:crypto';
import type { Clock } from '../../clock/clock.js';
import { BrokerConfigurationError, TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { ListedQueue, QueueList, QueueScope } from '../../transport/queue-list.js';
import type { Topology } from '../../transport/topology.js';
import type { UnattendedQueue } from '../kit/former-queues.js';
import { isForeign } from './server.js';
import type { Link } from './link.js';
import type { Names } from './routes.js';
import { checkSubscriptionOptions } from './options.js';
import { type Binding, DEAD_LETTERS, fieldOf, type QueueRecord, type Routes } from './routes.js';
import { scripts } from './scripts.js';

interface Counts {
  readonly ready: number;
  readonly inFlight: number;
  readonly consumers: number;
  readonly waiting: number;
}

export interface QueuesOptions {
  readonly names: Names;
  readonly routes: Routes;
  readonly topic: string;
  readonly service: string;
  readonly provision: boolean;
  readonly clock: Clock;
  /** What was in a queue is gone, and not by us. */
  readonly lost: (queue: string) => void;
}

/** Queues and what leads to them, made and looked at here. */
export class Queues {
  /** Those that this process has made or found, and their records. */
  private readonly seen = new Map<string, QueueRecord>();
  /** Of those whose former bindings this process has looked after. */
  private readonly tidied = new Set<string>();
  /** Of the consumers of queues whose time is over, and when they were first seen. */
  private readonly signs = new Map<string, { readonly text: string; readonly since: number }>();

  constructor(private readonly options: QueuesOptions) {}

  /** Makes it exist. @throws TopologyMismatchError, InvalidOptionError */
  async declare(link: Link, topology: Topology): Promise<void> {
    const { routes, topic: usual } = this.options;
    const { queue, deadLetter, exclusive, native, topic = usual, patterns } = topology;
    checkSubscriptionOptions(native);
    const provision = this.options.provision && topology.provision;
    await routes.load(link);
    const wanted = deadLetter ? [queue, deadLetter.queue] : [queue];
    const lacking = wanted.filter((one) => !routes.queues.has(one));
    if (!provision && lacking.length > 0)
      throw new TopologyMismatchError(
        `The queue ${lacking.map((one) => `«${one}»`).join(' and ')} does not exist. Create it, or set «provision» to true`,
      );
    const difference = differenceOf(topology, routes.queues.get(queue));
    if (difference !== undefined) throw new TopologyMismatchError(difference);
    if (deadLetter) {
      const { route: pattern, queue: dead } = deadLetter;
      const binding = { topic: DEAD_LETTERS, pattern, queue: dead };
      await this.make(link, dead, provision ? {} : undefined, provision ? [binding] : [], []);
    }
    const record: QueueRecord = {
      ...(deadLetter && { deadLetterQueue: deadLetter.queue, deadLetterRoute: deadLetter.route }),
      ...(exclusive && { expiresMs: exclusive.expiresMs }),
    };
    const bindings = provision ? patterns.map((pattern) => ({ topic, pattern, queue })) : [];
    const former = provision ? await this.former(link, queue, bindings) : [];
    await this.make(link, queue, provision ? record : undefined, bindings, former);
    await routes.load(link);
  }

  /** Tells everything that exists with other arguments, in one error. */
  async compare(link: Link, topologies: readonly Topology[]): Promise<void> {
    const { routes } = this.options;
    await routes.load(link);
    const differences = topologies.map((topology) => differenceOf(topology, routes.queues.get(topology.queue)));
    const found = differences.filter((one) => one !== undefined);
    if (found.length > 0) throw new TopologyMismatchError(found.join('; '));
  }

  async unbind(link: Link, { queue }: Topology): Promise<void> {
    const { routes } = this.options;
    await routes.load(link);
    if (!routes.queues.has(queue)) return;
    await this.make(link, queue, undefined, [], routes.boundTo(queue));
    await routes.load(link);
  }

  /** `signs`: only where those who consume it still have the same. */
  async remove(link: Link, queue: string, signs?: readonly string[]): Promise<void> {
    const { version, queues, bindings, expiring } = this.options.names;
    const keys = [version, queues, bindings, expiring, ...this.options.names.queue(queue)];
    const removed = await link.run<number>(scripts.remove, keys, [
      randomUUID(),
      queue,
      ...(signs ? [signs.length, ...signs] : []),
    ]);
    if (removed === 1) this.seen.delete(queue);
  }

  /**
   * Exclusive queues that nobody has consumed for as long as they may be. `now`: by the server's clock, which may jump: so
   * one goes only when no sign of life in it has changed for a lease by our own.
   */
  async sweep(link: Link, now: number): Promise<void> {
    const { names, routes, clock } = this.options;
    const expired = await link.client.zrangebyscore(names.expiring, '-inf', now);
    for (const queue of this.signs.keys()) if (!expired.includes(queue)) this.signs.delete(queue);
    if (expired.length === 0) return;
    await routes.load(link);
    for (const queue of expired) {
      const signs = Object.values(await link.client.hgetall(names.queue(queue)[1]));
      const seen = this.signs.get(queue);
      const leaseMs = Math.max(0, ...signs.map((sign) => Number(sign.split(':')[1])));
      if (seen?.text !== signs.join()) {
        this.signs.set(queue, { text: signs.join(), since: clock.monotonic() });
        const expiry = now + (routes.queues.get(queue)?.expiresMs ?? 0);
        if (seen && signs.length > 0) await link.client.zadd(names.expiring, 'XX', expiry, queue);
      } else if (clock.monotonic() - seen.since >= leaseMs) await this.remove(link, queue, signs);
    }
  }

  async count(link: Link, queue: string): Promise<Counts | undefined> {
    const { names } = this.options;
    const [stream, consumers, waiting] = names.queue(queue);
    const counts = await link.run<number[]>(scripts.count, [names.queues, stream, consumers, waiting], [queue]);
    if (counts.length === 0) return undefined;
    return { ready: counts[0], inFlight: counts[1], consumers: counts[2], waiting: counts[3] };
  }

  /** Those of a service, and those of these names, each with its dead-letter queue. */
  async list(link: Link, { service, queues: wanted = [] }: QueueScope): Promise<QueueList | undefined> {
    const { routes, names } = this.options;
    await routes.load(link);
    const all = [...routes.queues.keys()];
    const ofService = all.filter((name) =>
      service === undefined ? wanted.length === 0 : name.startsWith(`${service}:`),
    );
    if (service !== undefined && ofService.length === 0 && wanted.length === 0) return undefined;
    const chosen = new Set([...ofService, ...wanted.filter((name) => routes.queues.has(name))]);
    const dead = [...chosen].flatMap((name) => routes.queues.get(name)?.deadLetterQueue ?? []);
    for (const name of dead) if (routes.queues.has(name)) chosen.add(name);
    const queues: ListedQueue[] = [];
    let waiting = 0;
    for (const name of [...chosen].sort()) {
      const counts = await this.count(link, name);
      if (!counts) continue;
      const { deadLetterQueue } = routes.queues.get(name) ?? {};
      waiting += counts.waiting;
      queues.push({
        name,
        ready: counts.ready,
        inFlight: counts.inFlight,
        consumers: counts.consumers,
        routes: routes
          .boundTo(name)
          .map(({ pattern }) => pattern)
          .sort(),
        ...(deadLetterQueue !== undefined && { deadLetterQueue }),
      });
    }
    const missing = [...new Set([...wanted, ...dead])].filter((name) => !chosen.has(name)).sort();
    return { queues, missing, waiting: [{ name: names.queue('*')[2], ready: waiting }] };
  }

  /** Queues of this service that nobody consumes, and that hold something. */
  async unattended(link: Link, declared: ReadonlySet<string>): Promise<UnattendedQueue[]> {
    const { routes, service } = this.options;
    await routes.load(link);
    const found: UnattendedQueue[] = [];
    for (const [queue, record] of routes.queues) {
      const bindings = routes.boundTo(queue);
      if (record.service !== service || record.expiresMs !== undefined || declared.has(queue) || bindings.length === 0)
        continue;
      const counts = await this.count(link, queue);
      if (!counts || counts.consumers > 0 || counts.inFlight > 0 || counts.ready === 0) continue;
      found.push({
        queue,
        messages: counts.ready,
        bindings: bindings.map(({ topic, pattern }) => `«${pattern}» of «${topic}»`).sort(),
        remedy:
          'To delete it with its messages, subscribe to it once more as an exclusive queue, or take its bindings away with «unbind» and consume what is left',
      });
    }
    return found;
  }

  /** `record` left out: it is there, and stays as it is. */
  private async make(
    link: Link,
    queue: string,
    wanted: QueueRecord | undefined,
    add: readonly Binding[],
    remove: readonly Binding[],
  ): Promise<void> {
    const { names, routes, service } = this.options;
    const { version, queues, bindings, expiring } = names;
    const [stream] = names.queue(queue);
    const record = { ...wanted, ...routes.queues.get(queue) };
    const merged = {
      service,
      ...record,
      ...(wanted?.deadLetterQueue !== undefined && record.deadLetterQueue === undefined ? wanted : {}),
    };
    const values = [
      ...[randomUUID(), queue, JSON.stringify(merged), merged.expiresMs ?? 0, add.length],
      ...[...add, ...remove].map(fieldOf),
    ];
    try {
      const keys = [version, queues, bindings, expiring, stream];
      const [isNew, isEmpty] = await link.run<[number, number]>(scripts.declare, keys, values);
      if (this.seen.has(queue) ? isNew + isEmpty > 0 && merged.expiresMs === undefined : isEmpty > isNew)
        this.options.lost(queue);
      this.seen.set(queue, merged);
    } catch (error) {
      if (!isForeign(error)) throw error;
      throw new BrokerConfigurationError(
        `The key «${stream}» of the queue «${queue}» holds something else than a stream. Choose another «prefix», or remove it`,
      );
    }
  }

  /** What an earlier process of the service had bound, and this one does not ask for, goes, unless somebody consumes it. */
  private async former(link: Link, queue: string, wanted: readonly Binding[]): Promise<readonly Binding[]> {
    if (wanted.length === 0 || this.tidied.has(queue)) return [];
    this.tidied.add(queue);
    const fields = new Set(wanted.map(fieldOf));
    const former = this.options.routes.boundTo(queue).filter((binding) => !fields.has(fieldOf(binding)));
    return former.length > 0 && !(await this.count(link, queue))?.consumers ? former : [];
  }
}

function differenceOf({ queue, deadLetter }: Topology, found?: QueueRecord): string | undefined {
  if (!deadLetter || found?.deadLetterQueue === undefined) return undefined;
  if (found.deadLetterQueue === deadLetter.queue && found.deadLetterRoute === deadLetter.route) return undefined;
  return `The queue «${queue}» exists with the dead-letter queue «${found.deadLetterQueue}», not «${deadLetter.queue}»`;
}
