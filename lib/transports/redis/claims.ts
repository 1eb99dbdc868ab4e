import type { ClaimRelease } from '../kit/claiming-session.js';
import type { Link } from './link.js';
import type { RedisDelivery, Taken } from './message.js';
import type { Names, QueueKeys } from './routes.js';
import { scripts } from './scripts.js';

export type Release = ClaimRelease<RedisDelivery>;

export interface Found {
  readonly deliveries: readonly RedisDelivery[];
  /** Until the next one is due; Infinity where nothing waits. */
  readonly dueMs: number;
  readonly more: boolean;
  /** So many messages that were given back are not in the stream any more. */
  readonly lost: number;
}

type TurnAnswer = [status: number, dueMs: number, more: number, lost: number, taken: Taken[]];

/** What a consumer asks for besides settling: keys that others may have, and messages, up to the id `last`. */
interface Wanted {
  readonly freed: readonly string[];
  readonly room: number;
  readonly last: string;
}

const NOTHING: Wanted = { freed: [], room: 0, last: '' };
/** How the names of those begin that only look: those are judged by the clock of the server, for a look is short. */
export const LOOK = 'browser-';
/** The most that one script settles: arguments of a command of a script are limited. */
const MOST_AT_ONCE = 1_000;

/**
 * What one consumer has of one queue, on the server. A consumer shows that it lives by a sign that changes, and others watch
 * that by their own clocks: one that does not change it for a whole lease is one no more, and nothing that it sends later
 * counts. So the clock of the server may jump.
 */
export class Claims {
  /** How many messages of a key it has. Nobody else is given any until it has none, and says so. */
  private readonly keys = new Map<string, number>();
  private readonly freed = new Set<string>();
  /** The last sign of each consumer, and when it was first seen. */
  private readonly signs = new Map<string, { readonly sign: string; readonly since: number }>();
  private others: readonly string[] = [];
  private readonly queueKeys: QueueKeys;

  constructor(
    private readonly link: Link,
    private readonly names: Names,
    readonly queue: string,
    readonly owner: string,
    private readonly leaseMs: number,
  ) {
    this.queueKeys = names.queue(queue);
  }

  /** There are keys that others may have. */
  get hasFree(): boolean {
    return this.freed.size > 0;
  }

  /** From now on it is a consumer. False: there is no such queue. */
  async enter(): Promise<boolean> {
    const keys = [this.queueKeys[1], this.names.queues];
    return (await this.link.run<number>(scripts.enter, keys, [this.owner, this.leaseMs, this.queue])) === 1;
  }

  /** Settles, and takes up to `room`. Undefined: it is not a consumer any more. `last`: the id of the last that it wants. */
  async turn(
    acks: readonly RedisDelivery[],
    releases: readonly Release[],
    room: number,
    made: (taken: Taken) => RedisDelivery,
    last = '',
  ): Promise<Found | undefined> {
    const freed = [...this.freed].slice(0, MOST_AT_ONCE);
    const answer = await this.settle(this.owner, acks, releases, { freed, room, last });
    if (!answer) return undefined;
    for (const key of freed) this.freed.delete(key);
    const [, dueMs, more, lost, taken] = answer;
    const deliveries = taken.map(made);
    for (const { key } of deliveries) if (key !== '') this.hold(key);
    return { deliveries, dueMs: dueMs < 0 ? Infinity : dueMs, more: more === 1, lost };
  }

  /** It was removed, given back or lost. */
  forget({ key }: RedisDelivery): void {
    if (key === '') return;
    const count = (this.keys.get(key) ?? 1) - 1;
    if (count > 0) return void this.keys.set(key, count);
    this.keys.delete(key);
    this.freed.add(key);
  }

  /** Shows that it lives. False: it is a consumer no more. */
  async beat(ms = this.leaseMs): Promise<boolean> {
    this.others = await this.link.run<string[]>(scripts.beat, [this.queueKeys[1]], [this.owner, Math.ceil(ms)]);
    return this.others.length > 0;
  }

  /** What those had who have not shown for a lease that they live is there for anybody. `now`: monotonic. */
  async reap(now: number): Promise<void> {
    const signs = new Map<string, string>();
    for (let at = 0; at < this.others.length; at += 2) signs.set(this.others[at], this.others[at + 1]);
    for (const owner of this.signs.keys()) if (!signs.has(owner)) this.signs.delete(owner);
    const shownAt = (sign = ''): number => Number(sign.split(':')[0]) - Number(sign.split(':')[1]);
    for (const [owner, sign] of signs) {
      const seen = this.signs.get(owner);
      if (owner === this.owner) continue;
      const leaseMs = Number(sign.split(':')[1]);
      if (owner.startsWith(LOOK) && shownAt(signs.get(this.owner)) - shownAt(sign) > leaseMs)
        await this.leave(owner, sign);
      else if (seen?.sign !== sign) this.signs.set(owner, { sign, since: now });
      else if (now - seen.since >= leaseMs) await this.leave(owner, sign);
    }
  }

  /** What it holds goes back, and it is a consumer no more. */
  async leave(owner = this.owner, sign = ''): Promise<void> {
    await this.link.run(scripts.leave, this.queueKeys, [owner, sign, this.names.channel, this.queue]);
  }

  /** What an earlier consumer of this process had. */
  async takeOver(owner: string, acks: readonly RedisDelivery[], releases: readonly Release[]): Promise<void> {
    await this.settle(owner, acks, releases);
    await this.leave(owner);
  }

  /** Ids of messages that were taken for another key are held together with it. */
  private hold(key: string): void {
    this.keys.set(key, (this.keys.get(key) ?? 0) + 1);
    this.freed.delete(key);
  }

  /** In as many steps as it takes; with the last one come what it wants besides, and the answer. */
  private async settle(
    owner: string,
    acks: readonly RedisDelivery[],
    releases: readonly Release[],
    wanted = NOTHING,
  ): Promise<TurnAnswer | undefined> {
    const { channel } = this.names;
    const isLast = Math.max(acks.length, releases.length) <= MOST_AT_ONCE;
    const { freed, room, last } = isLast ? wanted : NOTHING;
    const values: (string | number)[] = [owner, room, last, channel, this.queue];
    const now = releases.slice(0, MOST_AT_ONCE);
    const ids = acks.slice(0, MOST_AT_ONCE).map(({ id }) => id);
    const given = now.flatMap(({ delivery: { id, key, deliveryCount = 0 }, delayMs, unseen }) => [
      id,
      key,
      Math.ceil(delayMs),
      deliveryCount + (unseen ? 0 : 1),
    ]);
    for (const list of [ids, given, freed]) values.push(list.length, ...list);
    const answer = await this.link.runForBytes<TurnAnswer>(scripts.turn, this.queueKeys, values);
    if (answer[0] < 0) return undefined;
    return isLast ? answer : this.settle(owner, acks.slice(MOST_AT_ONCE), releases.slice(MOST_AT_ONCE), wanted);
  }
}
