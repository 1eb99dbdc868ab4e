import { randomUUID } from 'node:crypto';
import type { Clock } from '../../clock/clock.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import { ClaimingBrowser } from '../kit/claiming-browser.js';
import { Claims, LOOK } from './claims.js';
import type { Link } from './link.js';
import { RedisDelivery, type Taken } from './message.js';
import type { Publisher } from './publisher.js';
import type { Names } from './routes.js';
import { scripts } from './scripts.js';

const AT_A_TIME = 100;

export interface BrowserParts {
  readonly link: Link;
  readonly names: Names;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly publisher: Publisher;
  readonly ready: (queue: string) => Promise<number | undefined>;
}

/** Looks as a consumer that is told from those that stay. */
export class QueueBrowser extends ClaimingBrowser<RedisDelivery> {
  private constructor(
    private readonly claims: Claims,
    private readonly parts: BrowserParts,
    /** Of the first look: the last entry, and how many there had ever been. */
    private readonly start: readonly [last: string, added: number],
  ) {
    super(parts.clock, parts.leaseMs);
  }

  /** Undefined: there is no such queue. */
  static async open(queue: string, parts: BrowserParts, rest?: QueueBrowser): Promise<QueueBrowser | undefined> {
    const claims = new Claims(parts.link, parts.names, queue, `${LOOK}${randomUUID()}`, parts.leaseMs);
    if (!(await claims.enter())) return undefined;
    // Nobody else looks after what a look had that died.
    if (await claims.beat()) await claims.reap(parts.clock.monotonic());
    // What is due is there.
    await claims.turn([], [], 0, () => undefined as never);
    return new QueueBrowser(claims, parts, rest?.start ?? (await lastOf(queue, parts)));
  }

  async arrived(): Promise<number> {
    return (await lastOf(this.claims.queue, this.parts))[1] - this.start[1];
  }

  protected async ready(): Promise<number> {
    return (await this.parts.ready(this.claims.queue)) ?? 0;
  }

  protected async claim(): Promise<readonly RedisDelivery[]> {
    const made = (taken: Taken): RedisDelivery => new RedisDelivery(taken, this.claims.queue, this);
    const found = await this.claims.turn([], [], AT_A_TIME, made, this.start[0]);
    return found?.deliveries ?? [];
  }

  protected async remove(delivery: RedisDelivery): Promise<boolean> {
    return (await this.claims.turn([delivery], [], 0, () => undefined as never)) !== undefined;
  }

  protected copy(delivery: RedisDelivery, to: Outgoing): Promise<PublishResult> {
    const { owner, queue } = this.claims;
    return this.parts.publisher.move({ queue, owner, delivery }, to);
  }

  protected async renew(held: readonly RedisDelivery[]): Promise<readonly RedisDelivery[]> {
    if (!(await this.claims.beat())) return held;
    await this.claims.reap(this.parts.clock.monotonic());
    return [];
  }

  protected giveBack(): Promise<void> {
    return this.claims.leave();
  }
}

async function lastOf(queue: string, { link, names }: BrowserParts): Promise<[string, number]> {
  return link.run<[string, number]>(scripts.last, [names.queue(queue)[0]]);
}
