import type { Clock } from '../../clock/clock.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import { ClaimingBrowser } from '../kit/claiming-browser.js';
import { type Claims, MOST_AT_ONCE } from './claims.js';
import { SqsDelivery } from './delivery.js';

/** So many that came since it began are the end of a look. */
const MOST_ASIDE = 1_000;

export interface BrowserParts {
  readonly queue: string;
  /** Of what other clients send with a route. */
  readonly topic: string;
  readonly claims: Claims;
  /** How many messages the queue has, hidden ones included. */
  readonly count: () => Promise<number>;
  /** How many of them can be received now. */
  readonly ready: () => Promise<number>;
  readonly copy: (to: Outgoing) => Promise<PublishResult>;
  readonly leaseMs: number;
  readonly clock: Clock;
}

/** Of the first look, and of all that go on with it. */
interface Start {
  /** When it began, by the wall clock. */
  readonly at: number;
  readonly total: number;
  /** How many messages the looks have removed. */
  removed: number;
}

/** Looks as a consumer does: what it shows is hidden from others for as long, and counts as received once more. */
export class QueueBrowser extends ClaimingBrowser<SqsDelivery> {
  /** Held, and not shown: they go back at the end. */
  private readonly aside: SqsDelivery[] = [];

  private constructor(
    private readonly parts: BrowserParts,
    private readonly start: Start,
  ) {
    super(parts.clock, parts.leaseMs);
  }

  static async open(parts: BrowserParts, rest?: QueueBrowser): Promise<QueueBrowser> {
    const at = parts.clock.now();
    return new QueueBrowser(parts, rest?.start ?? { at, total: await parts.count(), removed: 0 });
  }

  async arrived(): Promise<number> {
    const { total, removed } = this.start;
    return Math.max(0, (await this.parts.count()) - total + removed);
  }

  protected ready(): Promise<number> {
    return this.parts.ready();
  }

  /** What came since is held as well, so that it is not met again, and goes back unseen at the end. */
  protected async claim(): Promise<readonly SqsDelivery[]> {
    const { claims, queue, topic, leaseMs, clock } = this.parts;
    for (;;) {
      const at = clock.monotonic();
      const messages = await claims.receive(MOST_AT_ONCE);
      const deliveries = messages.map((received) => new SqsDelivery(received, { queue, topic, at, leaseMs }, this));
      const old = deliveries.filter(({ sentAt }) => sentAt <= this.start.at);
      this.aside.push(...deliveries.filter(({ sentAt }) => sentAt > this.start.at));
      if (old.length > 0 || messages.length === 0 || this.aside.length >= MOST_ASIDE) return old;
    }
  }

  protected async remove(delivery: SqsDelivery): Promise<boolean> {
    const isRemoved = (await this.parts.claims.remove([delivery])).done.has(delivery);
    if (isRemoved) this.start.removed++;
    return isRemoved;
  }

  /** The copy, and then its original: after a death in between there are both. */
  protected async copy(delivery: SqsDelivery, to: Outgoing): Promise<PublishResult> {
    const result = await this.parts.copy(to);
    // Where both fail the original comes again: the copy is stored all the same.
    const remove = (): Promise<boolean> => this.remove(delivery).catch(() => false);
    if (result.status === 'confirmed' && !(await remove())) await remove();
    return result;
  }

  protected renew(held: readonly SqsDelivery[]): Promise<readonly SqsDelivery[]> {
    return this.parts.claims.keep([...held, ...this.aside], this.parts.leaseMs, this.parts.clock.monotonic());
  }

  protected giveBack(held: readonly SqsDelivery[]): Promise<void> {
    return this.parts.claims.hideAll([...held, ...this.aside].map((delivery) => ({ delivery, seconds: 0 })));
  }
}
