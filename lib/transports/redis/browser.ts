import { randomUUID } from 'node:crypto';
import type { CancelTimer, Clock } from '../../clock/clock.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { Browser } from '../../transport/queue-operations.js';
import { Claims, LOOK } from './claims.js';
import type { Link } from './link.js';
import { RedisDelivery, type Settler } from './message.js';
import type { Names } from './routes.js';
import type { Publisher } from './publisher.js';
import { scripts } from './scripts.js';

const AT_A_TIME = 100;

export interface BrowserParts {
  readonly link: Link;
  readonly names: Names;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly publisher: Publisher;
}

/** Takes what was there when the first look began, piece by piece, and gives back what was not settled. */
export class QueueBrowser implements Browser, Settler {
  private readonly held = new Set<RedisDelivery>();
  private readonly waiting: RedisDelivery[] = [];
  private readonly changes = new Set<Promise<unknown>>();
  private cancelTick: CancelTimer;
  private closed?: Promise<void>;

  private constructor(
    private readonly queue: string,
    private readonly claims: Claims,
    private readonly parts: BrowserParts,
    /** Of the first look: the last entry, and how many there had ever been. */
    private readonly start: readonly [last: string, added: number],
  ) {
    this.cancelTick = this.nextTick();
  }

  /** Undefined: there is no such queue. */
  static async open(queue: string, parts: BrowserParts, rest?: QueueBrowser): Promise<QueueBrowser | undefined> {
    const claims = new Claims(parts.link, parts.names, queue, `${LOOK}${randomUUID()}`, parts.leaseMs);
    if (!(await claims.enter())) return undefined;
    // Nobody else looks after what a look had that died.
    if (await claims.beat()) await claims.reap(parts.clock.monotonic());
    // What is due is there.
    await claims.turn([], [], 0, () => undefined as never);
    return new QueueBrowser(queue, claims, parts, rest?.start ?? (await lastOf(queue, parts)));
  }

  async next(): Promise<Delivery | undefined> {
    if (this.closed) return undefined;
    if (this.waiting.length === 0) {
      const made = (taken: ConstructorParameters<typeof RedisDelivery>[0]): RedisDelivery => new RedisDelivery(taken, this.queue, this); // prettier-ignore
      const found = await this.claims.turn([], [], AT_A_TIME, made, this.start[0]);
      for (const delivery of found?.deliveries ?? []) this.held.add(delivery);
      this.waiting.push(...(found?.deliveries ?? []));
    }
    return this.waiting.shift();
  }

  async arrived(): Promise<number> {
    return (await lastOf(this.queue, this.parts))[1] - this.start[1];
  }

  close(): Promise<void> {
    this.closed ??= this.end();
    return this.closed;
  }

  ack(delivery: RedisDelivery): void {
    void this.ackConfirmed(delivery);
  }

  ackConfirmed(delivery: RedisDelivery): Promise<boolean> {
    this.held.delete(delivery);
    const removed = this.claims
      .turn([delivery], [], 0, () => undefined as never)
      .then(
        (found) => found !== undefined,
        () => false,
      );
    return this.during(removed);
  }

  /** What is released is not shown again by the same look: it is given back at the end of it. */
  release(_delivery: RedisDelivery): void {}

  async extend(): Promise<void> {}

  async move(delivery: RedisDelivery, to: Outgoing): Promise<PublishResult> {
    const { queue, claims } = this;
    const result = await this.during(this.parts.publisher.move({ queue, owner: claims.owner, delivery }, to));
    if (result.status === 'confirmed') this.held.delete(delivery);
    return result;
  }

  private during<T>(change: Promise<T>): Promise<T> {
    this.changes.add(change);
    return change.finally(() => this.changes.delete(change));
  }

  private async end(): Promise<void> {
    this.cancelTick();
    await Promise.allSettled(this.changes);
    for (const delivery of this.held) delivery.abandon();
    // A connection that is gone cannot: then the lease runs out.
    await this.claims.leave().catch(() => {});
  }

  private nextTick(): CancelTimer {
    const { clock, leaseMs } = this.parts;
    return clock.after(leaseMs / 3, () => void this.tick(), { background: true });
  }

  private async tick(): Promise<void> {
    const isOurs = await this.claims.beat().catch(() => true);
    if (!isOurs) for (const delivery of this.held) delivery.abandon();
    else await this.claims.reap(this.parts.clock.monotonic()).catch(() => {});
    if (!this.closed && isOurs) this.cancelTick = this.nextTick();
  }
}

async function lastOf(queue: string, { link, names }: BrowserParts): Promise<[string, number]> {
  return link.run<[string, number]>(scripts.last, [names.queue(queue)[0]]);
}
