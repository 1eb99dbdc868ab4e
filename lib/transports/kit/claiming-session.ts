import type { CancelTimer, Clock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { SubscribeHandlers } from '../../transport/transport.js';
import { Waiters } from '../../transport/waiters.js';
import type { Claimer } from './settled-once.js';
import type { ConsumerSession } from './supervised-consumer.js';

/** So many failures in a row end a session: what it holds is another's then. */
const MOST_FAILURES = 5;
const FAILED_PAUSE_MS = 250;

/** A message that is lent. */
export interface Claimed extends Delivery {
  abandon(): void;
}

export interface ClaimingOptions {
  readonly queue: string;
  /** The most that it holds, at least 1. */
  readonly prefetch: number;
  /** Milliseconds for which messages are lent. */
  readonly leaseMs: number;
  /** The longest pause between two looks, in milliseconds. */
  readonly pollMs: number;
  readonly clock: Clock;
  readonly handlers: SubscribeHandlers;
  /** The text of an error, without credentials. */
  readonly describe: (error: unknown) => string;
}

/** Handled, and to be removed. */
export interface ClaimAck<D> {
  readonly delivery: D;
  readonly answer?: (taken: boolean) => void;
}

/** To be given back. */
export interface ClaimRelease<D> {
  readonly delivery: D;
  readonly delayMs: number;
  /** Nobody has seen it: it does not count as delivered. */
  readonly unseen?: boolean;
}

/**
 * A consumer of a queue whose messages are lent for a time: it claims as long as there is room and there are some, looks again
 * when it is woken and when the next is due, renews its leases and settles what was settled meanwhile together. In which
 * steps it claims and settles is the broker's.
 */
export abstract class ClaimingSession<D extends Claimed> implements ConsumerSession, Claimer<D> {
  readonly ended: Promise<string>;
  protected readonly held = new Set<D>();
  /** Arrived while paused. */
  protected readonly early: D[] = [];
  protected acks: ClaimAck<D>[] = [];
  protected releases: ClaimRelease<D>[] = [];
  protected readonly waiters = new Waiters();
  protected readonly over = new AbortController();
  protected mode: 'idle' | 'consuming' | 'paused' | 'stopped' = 'idle';
  protected finishing = false;
  /** There may be something to claim. */
  protected mayHave = true;
  protected failures = 0;
  /** The renewal that is under way, or was the last. */
  protected ticking: Promise<void> | undefined;
  private cancelTick: CancelTimer;
  private cancelPoll: CancelTimer = () => {};
  private resolveEnded!: (reason: string) => void;

  constructor(protected readonly claimingOptions: ClaimingOptions) {
    this.ended = new Promise((resolve) => (this.resolveEnded = resolve));
    this.cancelTick = this.nextTick();
  }

  /** Says that somebody consumes the queue. False: it is gone. */
  protected abstract enter(): Promise<boolean> | boolean;
  /** Claims for as long as it consumes; called again after each pause. */
  protected abstract work(): void;
  /** Something was settled: it is to be told to the broker. */
  protected abstract settle(delivery: D): void;
  /** Nothing that was settled is still to be told. */
  protected abstract get isSettled(): boolean;
  /** Says that nobody consumes any more, and ends the session. */
  protected abstract leave(reason: string): Promise<void> | void;
  /** Renews the leases. */
  protected abstract renew(): Promise<void>;
  abstract stop(): Promise<void>;
  abstract close(): Promise<void>;
  abstract extend(delivery: D, ms: number): Promise<void>;
  abstract move(delivery: D, to: Outgoing): Promise<PublishResult>;

  async consume(): Promise<void> {
    if (!(await this.enter())) throw new Error('the queue is gone');
    if (this.isOver || this.mode === 'stopped') return;
    this.mode = 'consuming';
    for (const delivery of this.early.splice(0)) this.claimingOptions.handlers.delivery(delivery);
    this.wake();
    this.work();
  }

  pause(): Promise<void> | void {
    if (this.mode === 'consuming') this.mode = 'paused';
  }

  finish(): void {
    this.finishing = true;
    if (this.held.size === 0 && this.isSettled && !this.isOver) void this.leave('stopped');
  }

  giveUp(reason: string): void {
    this.end(reason);
  }

  /** There may be something new. */
  wake(): void {
    this.mayHave = true;
    this.waiters.wake();
  }

  ack(delivery: D): void {
    this.held.delete(delivery);
    this.acks.push({ delivery });
    this.settle(delivery);
  }

  ackConfirmed(delivery: D): Promise<boolean> {
    this.held.delete(delivery);
    return new Promise((answer) => {
      this.acks.push({ delivery, answer });
      this.settle(delivery);
    });
  }

  release(delivery: D, delayMs: number): void {
    this.held.delete(delivery);
    this.releases.push({ delivery, delayMs });
    this.settle(delivery);
  }

  protected get isOver(): boolean {
    return this.over.signal.aborted;
  }

  /** Nothing can be settled any more. */
  protected end(reason: string): void {
    if (this.isOver) return;
    this.mode = 'stopped';
    this.over.abort();
    this.cancelTick();
    this.cancelPoll();
    for (const { answer } of this.acks) answer?.(false);
    for (const delivery of this.held) this.lose(delivery);
    this.resolveEnded(reason);
  }

  protected lose(delivery: D): void {
    delivery.abandon();
    if (!this.early.includes(delivery)) this.claimingOptions.handlers.lost(delivery);
  }

  /** While it stops what was on its way is still delivered. */
  protected take(deliveries: readonly D[]): void {
    for (const delivery of deliveries) this.held.add(delivery);
    for (const delivery of deliveries) {
      if (this.mode === 'paused') this.early.push(delivery);
      else this.claimingOptions.handlers.delivery(delivery);
    }
  }

  /** What came while it was paused goes back, and counts as never delivered. */
  protected giveBackEarly(): void {
    for (const delivery of this.early.splice(0)) {
      if (this.isOver) return;
      delivery.abandon();
      this.held.delete(delivery);
      this.releases.push({ delivery, delayMs: 0, unseen: true });
      this.settle(delivery);
    }
  }

  /** A step failed. Resolves after a pause, or when that has ended the session. `fatal`: why no other can succeed. */
  protected async failed(error: unknown, fatal?: string): Promise<void> {
    const { describe, clock } = this.claimingOptions;
    if (fatal !== undefined || ++this.failures >= MOST_FAILURES) return this.end(fatal ?? describe(error));
    this.wake();
    await sleep(clock, FAILED_PAUSE_MS * this.failures, this.over.signal);
  }

  /** Looks again when the next is due, or after a while. */
  protected poll(dueMs: number): void {
    const { clock, pollMs } = this.claimingOptions;
    this.cancelPoll();
    this.cancelPoll = clock.after(Math.max(1, Math.min(dueMs, pollMs)), () => this.wake(), { background: true });
  }

  private nextTick(): CancelTimer {
    const { clock, leaseMs } = this.claimingOptions;
    return clock.after(leaseMs / 3, () => void (this.ticking = this.tick()), { background: true });
  }

  private async tick(): Promise<void> {
    try {
      await this.renew();
    } catch {
      // The next one comes before the leases have run out; a connection that is gone ends the session.
    }
    if (!this.isOver) this.cancelTick = this.nextTick();
  }
}
