import { nextTurn } from '../../clock/turn.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import { Waiters } from '../../transport/waiters.js';
import { type ClaimingOptions, ClaimingSession } from '../kit/claiming-session.js';
import type { Claims } from './claims.js';
import { RedisDelivery } from './message.js';
import type { Publisher } from './publisher.js';
import { isForeign, isGone } from './server.js';

export interface SessionOptions extends ClaimingOptions {
  readonly publisher: Publisher;
  /** So many messages that were given back were removed by somebody else. */
  readonly lost: (count: number) => void;
}

/** Takes messages of a queue, and settles, by one script at a time: what is settled meanwhile goes with the next. */
export class RedisSession extends ClaimingSession<RedisDelivery> {
  private readonly turned = new Waiters();
  private working: Promise<void> | undefined;
  private turning = false;

  constructor(
    private readonly claims: Claims,
    private readonly options: SessionOptions,
  ) {
    super(options);
  }

  get queue(): string {
    return this.options.queue;
  }

  async stop(): Promise<void> {
    this.mode = 'stopped';
    this.giveBackEarly();
    await this.settled();
  }

  /** What is unsettled goes back to its old place. */
  async close(): Promise<void> {
    await this.stop();
    if (this.isOver) return;
    for (const delivery of this.held) this.lose(delivery);
    this.held.clear();
    await this.leave('closed');
  }

  /** The lease of a consumer is that of all that it has, and is renewed well before its end. */
  async extend(_delivery: RedisDelivery, ms: number): Promise<void> {
    if (ms > this.options.leaseMs) await this.claims.beat(ms);
  }

  async move(delivery: RedisDelivery, to: Outgoing): Promise<PublishResult> {
    const { queue, publisher } = this.options;
    const result = await publisher.move({ queue, owner: this.claims.owner, delivery }, to);
    if (result.status === 'confirmed' && this.held.delete(delivery)) {
      delivery.abandon();
      this.settle(delivery);
    }
    return result;
  }

  /** What an earlier session had and can settle no more: what was acked is removed, the rest is there for anybody. */
  async recover(previous: RedisSession): Promise<void> {
    const acks = previous.acks.map(({ delivery }) => delivery);
    await this.claims.takeOver(previous.claims.owner, acks, previous.releases);
  }

  /** Who was given up is not to come back under the same name: others have by now what it had. */
  protected enter(): Promise<boolean> | boolean {
    return this.working !== undefined || this.claims.enter();
  }

  protected work(): void {
    this.working ??= this.takeTurns();
  }

  protected settle(delivery: RedisDelivery): void {
    this.claims.forget(delivery);
    this.waiters.wake();
  }

  protected get isSettled(): boolean {
    return !this.hasSettled() && !this.turning;
  }

  protected async leave(reason: string): Promise<void> {
    await this.claims.leave().catch(() => {});
    this.end(reason);
  }

  /** Renews the lease, and looks after consumers that do not. */
  protected async renew(): Promise<void> {
    if (!this.working) return;
    if (!(await this.claims.beat())) return this.end(NOT_OURS);
    await this.claims.reap(this.options.clock.monotonic());
  }

  private hasSettled(): boolean {
    return this.acks.length + this.releases.length > 0 || this.claims.hasFree;
  }

  private get room(): number {
    return this.mode === 'consuming' && this.mayHave ? this.options.prefetch - this.held.size : 0;
  }

  /** Resolves when nothing is under way, and all that was settled is on the server; or when the session is over. */
  private async settled(): Promise<void> {
    while (!this.isOver && this.working && !this.isSettled) await this.turned.wait(this.over.signal);
  }

  /** For as long as the session lasts. Whoever wakes it is not its context. */
  private async takeTurns(): Promise<void> {
    const turn = (): Promise<void> => new Promise((resolve) => nextTurn(resolve));
    while (!this.isOver) {
      if (!this.hasSettled() && this.room <= 0) {
        if (this.finishing) this.finish();
        this.turned.wake();
        await this.waiters.wait(this.over.signal);
        // All that is settled in one turn shares a script.
        await turn();
        continue;
      }
      this.turning = true;
      await this.turn().then(
        () => (this.failures = 0),
        (error: unknown) => this.turnFailed(error),
      );
      this.turning = false;
      this.turned.wake();
    }
  }

  private async turn(): Promise<void> {
    const [acks, releases, { room }] = [[...this.acks], [...this.releases], this];
    if (room > 0) this.mayHave = false;
    const found = await this.claims.turn(
      acks.map(({ delivery }) => delivery),
      releases,
      room,
      (taken) => new RedisDelivery(taken, this.queue, this),
    );
    if (!found) return this.end(NOT_OURS);
    if (this.isOver) return;
    this.acks = this.acks.slice(acks.length);
    this.releases = this.releases.slice(releases.length);
    for (const { answer } of acks) answer?.(true);
    if (found.lost > 0) this.options.lost(found.lost);
    if (found.more || found.deliveries.length === room) this.mayHave = true;
    this.poll(found.dueMs);
    this.take(found.deliveries);
  }

  private turnFailed(error: unknown): Promise<void> {
    if (isGone(error)) return this.failed(error, 'the stream of the queue is gone');
    return this.failed(error, isForeign(error) ? this.options.describe(error) : undefined);
  }
}

const NOT_OURS = 'its lease ran out, or the queue was deleted';
