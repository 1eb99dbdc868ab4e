import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { Outgoing, PublishResult } from '../../../lib/transport/outgoing.js';
import { ClaimingSession } from '../../../lib/transports/kit/claiming-session.js';
import { Mover, ScriptedClaim } from './claimed.js';

const LEASE_MS = 30_000;

/** Claims and settles when the test says so. */
class ScriptedSession extends ClaimingSession<ScriptedClaim> {
  readonly told: string[];
  readonly mover = new Mover();
  isThere = true;
  renewal?: Error;

  constructor(
    readonly clock: ManualClock,
    told: string[],
  ) {
    const handlers = {
      delivery: (delivery: unknown) => void told.push(`delivered ${(delivery as ScriptedClaim).raw}`),
      lost: (delivery: unknown) => void told.push(`lost ${(delivery as ScriptedClaim).raw}`),
      state() {},
    };
    const describe = (error: unknown): string => (error as Error).message;
    super({ queue: 'q', prefetch: 10, leaseMs: LEASE_MS, pollMs: 1_000, clock, handlers, describe });
    this.told = told;
  }

  arrive(...ids: string[]): ScriptedClaim[] {
    const claims = ids.map((id) => new ScriptedClaim(id, this));
    this.take(claims);
    return claims;
  }

  /** The broker is told of all that was settled. */
  flush(): void {
    for (const { delivery, answer } of this.acks.splice(0)) {
      this.told.push(`acked ${delivery.raw}`);
      answer?.(true);
    }
    for (const { delivery, delayMs, unseen = false } of this.releases.splice(0))
      this.told.push(`gave back ${delivery.raw} for ${delayMs} ms${unseen ? ', unseen' : ''}`);
    if (this.finishing) this.finish();
  }

  fail(error: Error, fatal?: string): Promise<void> {
    return this.failed(error, fatal);
  }

  lookIn(dueMs: number): void {
    this.mayHave = false;
    this.poll(dueMs);
  }

  get looks(): boolean {
    return this.mayHave;
  }

  protected async enter(): Promise<boolean> {
    return this.isThere;
  }

  protected work(): void {
    this.told.push('works');
  }

  protected settle(): void {}

  protected get isSettled(): boolean {
    return this.acks.length + this.releases.length === 0;
  }

  protected leave(reason: string): void {
    this.told.push('left');
    this.end(reason);
  }

  protected async renew(): Promise<void> {
    this.told.push('renewed');
    if (this.renewal) throw this.renewal;
  }

  async stop(): Promise<void> {
    this.mode = 'stopped';
    this.giveBackEarly();
    this.flush();
  }

  async close(): Promise<void> {
    await this.stop();
    this.leave('closed');
  }

  async extend(): Promise<void> {}

  move(delivery: ScriptedClaim, _to: Outgoing): Promise<PublishResult> {
    return this.mover.move(delivery);
  }
}

async function consuming(): Promise<ScriptedSession> {
  const session = new ScriptedSession(new ManualClock(), []);
  await session.consume();
  session.told.splice(0);
  return session;
}

/** The reason of its end; undefined while it goes on. */
async function endOf({ ended }: ScriptedSession): Promise<string | undefined> {
  return Promise.race([ended, new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))]);
}

describe('a session that claims', () => {
  it('does not begin where the queue is gone', async () => {
    const session = new ScriptedSession(new ManualClock(), []);
    session.isThere = false;
    await expect(session.consume()).rejects.toThrow('the queue is gone');
    expect(session.told).toEqual([]);
  });

  it('settles a delivery once', async () => {
    const session = await consuming();
    const [one, two, three] = session.arrive('1', '2', '3');
    const taken = one.ackConfirmed();
    one.ack();
    one.release();
    two.release(50);
    two.ack();
    three.ack();
    session.flush();
    expect(session.told.slice(3)).toEqual(['acked 1', 'acked 3', 'gave back 2 for 50 ms']);
    await expect(taken).resolves.toBe(true);
  });

  it('keeps what comes while it is paused, and delivers it when it goes on', async () => {
    const session = await consuming();
    void session.pause();
    session.arrive('1');
    expect(session.told).toEqual([]);
    await session.consume();
    expect(session.told).toEqual(['delivered 1', 'works']);
  });

  it('gives back what came while it was paused as never delivered, and loses it to nobody', async () => {
    const session = await consuming();
    session.arrive('1');
    void session.pause();
    session.arrive('2');
    await session.stop();
    session.giveUp('gone');
    expect(session.told).toEqual(['delivered 1', 'gave back 2 for 0 ms, unseen', 'lost 1']);
  });

  it('delivers what was on its way while it stops', async () => {
    const session = await consuming();
    await session.stop();
    session.arrive('1');
    expect(session.told).toEqual(['delivered 1']);
  });

  it('ends once everything is settled and told', async () => {
    const session = await consuming();
    const [one] = session.arrive('1');
    await session.stop();
    session.finish();
    expect(await endOf(session)).toBeUndefined();
    one.ack();
    session.finish();
    expect(await endOf(session)).toBeUndefined();
    session.flush();
    expect(await endOf(session)).toBe('stopped');
    expect(session.told.slice(1)).toEqual(['acked 1', 'left']);
  });

  it('tells each delivery as lost once when it is given up; acks under way are not known to be taken', async () => {
    const session = await consuming();
    const [one, two] = session.arrive('1', '2');
    const taken = one.ackConfirmed();
    session.giveUp('the connection is gone');
    session.giveUp('again');
    two.ack();
    await expect(taken).resolves.toBe(false);
    await expect(session.ended).resolves.toBe('the connection is gone');
    expect(session.told).toEqual(['delivered 1', 'delivered 2', 'lost 2']);
    await expect(two.move({} as Outgoing)).resolves.toMatchObject({ status: 'failed' });
    expect(session.mover.moved).toEqual([]);
  });

  it('looks again when the next is due, and after a while at the latest', async () => {
    const session = await consuming();
    session.lookIn(300);
    await session.clock.advance(299);
    expect(session.looks).toBe(false);
    await session.clock.advance(1);
    expect(session.looks).toBe(true);
    session.lookIn(Infinity);
    await session.clock.advance(1_000);
    expect(session.looks).toBe(true);
  });

  it('pauses longer after each failure in a row, and ends with the fifth', async () => {
    const session = await consuming();
    for (let failures = 1; failures <= 4; failures++) {
      let over = false;
      const failed = session.fail(new Error('no answer')).then(() => (over = true));
      await session.clock.advance(failures * 250 - 1);
      expect(over).toBe(false);
      await session.clock.advance(1);
      await failed;
    }
    await session.fail(new Error('no answer'));
    await expect(session.ended).resolves.toBe('no answer');
  });

  it('ends at once over what no other try can cure', async () => {
    const session = await consuming();
    await session.fail(new Error('NOGROUP'), 'the queue is gone');
    await expect(session.ended).resolves.toBe('the queue is gone');
  });

  it('renews its leases three times in each, also after a failure, until it ends', async () => {
    const session = await consuming();
    session.renewal = new Error('no answer');
    await session.clock.advance(LEASE_MS);
    expect(session.told).toEqual(['renewed', 'renewed', 'renewed']);
    session.giveUp('gone');
    await session.clock.advance(LEASE_MS);
    expect(session.told).toHaveLength(3);
  });
});
