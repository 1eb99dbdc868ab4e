import type { CancelTimer, Clock } from '../../clock/clock.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { Browser } from '../../transport/queue-operations.js';
import type { Claimed } from './claiming-session.js';
import type { Claimer } from './settled-once.js';

/**
 * A look into a queue whose messages are lent: it claims what was there when the first look began, piece by piece, renews
 * its leases, and gives back at the end what was not settled.
 */
export abstract class ClaimingBrowser<D extends Claimed> implements Browser, Claimer<D> {
  private readonly held = new Set<D>();
  private readonly waiting: D[] = [];
  private readonly changes = new Set<Promise<unknown>>();
  private cancelTick: CancelTimer;
  private closed?: Promise<void>;

  constructor(
    private readonly clock: Clock,
    private readonly leaseMs: number,
  ) {
    this.cancelTick = this.nextTick();
  }

  abstract arrived(): Promise<number>;
  /** How many messages of the queue nobody has. */
  protected abstract ready(): Promise<number>;

  /** The next piece, in order; nothing: there is no more. */
  protected abstract claim(): Promise<readonly D[]>;
  /** Resolves with whether the broker has removed it. */
  protected abstract remove(delivery: D): Promise<boolean>;
  protected abstract copy(delivery: D, to: Outgoing): Promise<PublishResult>;
  /** Renews the leases. Those that are another's by now. */
  protected abstract renew(held: readonly D[]): Promise<readonly D[]>;
  protected abstract giveBack(held: readonly D[]): Promise<void>;
  /** The delivery was removed, moved or lost. */
  protected forget(_delivery: D): void {}

  async next(): Promise<Delivery | undefined> {
    if (this.closed) return undefined;
    if (this.waiting.length === 0) {
      const deliveries = await this.claim();
      for (const delivery of deliveries) this.held.add(delivery);
      this.waiting.push(...deliveries);
    }
    return this.waiting.shift();
  }

  async behind(): Promise<number> {
    return this.waiting.length + (await this.ready());
  }

  close(): Promise<void> {
    this.closed ??= this.end();
    return this.closed;
  }

  ack(delivery: D): void {
    void this.ackConfirmed(delivery);
  }

  ackConfirmed(delivery: D): Promise<boolean> {
    this.settled(delivery);
    return this.during(this.remove(delivery).catch(() => false));
  }

  /** What is released is not shown again by the same look: it is given back at the end of it. */
  release(_delivery: D): void {}

  async extend(): Promise<void> {}

  async move(delivery: D, to: Outgoing): Promise<PublishResult> {
    const result = await this.during(this.copy(delivery, to));
    if (result.status === 'confirmed') this.settled(delivery);
    return result;
  }

  private settled(delivery: D): void {
    if (this.held.delete(delivery)) this.forget(delivery);
  }

  private during<T>(change: Promise<T>): Promise<T> {
    this.changes.add(change);
    return change.finally(() => this.changes.delete(change));
  }

  private async end(): Promise<void> {
    this.cancelTick();
    await Promise.allSettled(this.changes);
    const held = [...this.held];
    for (const delivery of held) delivery.abandon();
    // A connection that is gone cannot: then the leases run out.
    await this.giveBack(held).catch(() => {});
  }

  private nextTick(): CancelTimer {
    return this.clock.after(this.leaseMs / 3, () => void this.tick(), { background: true });
  }

  private async tick(): Promise<void> {
    for (const delivery of await this.renew([...this.held]).catch(() => [])) {
      this.settled(delivery);
      delivery.abandon();
    }
    if (!this.closed) this.cancelTick = this.nextTick();
  }
}
