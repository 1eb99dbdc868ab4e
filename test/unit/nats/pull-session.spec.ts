import { describe, expect, it } from '@jest/globals';
import type { Msg } from '@nats-io/transport-node';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { Delivery } from '../../../lib/transport/delivery.js';
import type { Link } from '../../../lib/transports/nats/connection/link.js';
import { PullSession } from '../../../lib/transports/nats/consuming/pull-session.js';

type Say = (error: Error | null, message: Msg) => void;

const CREATED = '2030-01-01T00:00:00Z';

/** A session on a server that says only what it is told to say. */
class Bed {
  readonly clock = new ManualClock();
  readonly delivered: Delivery[] = [];
  /** How many messages each pull request asked for. */
  readonly asked: number[] = [];
  answersApi = true;
  looks = 0;
  private say!: Say;
  private sequence = 0;
  readonly session: PullSession;

  constructor(prefetch: number) {
    const connection = {
      subscribe: (_: string, { callback }: { callback: Say }) => {
        this.say = callback;
        return { unsubscribe: () => undefined };
      },
      publish: (subject: string, body: unknown) => {
        if (subject.startsWith('$JS.API.CONSUMER.MSG.NEXT')) this.asked.push(JSON.parse(String(body)).batch);
      },
      isClosed: () => false,
    };
    const info = async () => {
      this.looks++;
      return this.answersApi ? { created: CREATED } : new Promise(() => undefined);
    };
    const link = { connection, manager: { consumers: { info } }, inbox: () => '_INBOX.1' };
    this.session = new PullSession(link as unknown as Link, {
      queue: 'q',
      stream: 's',
      consumer: 'c',
      prefetch,
      ackWait: 30_000,
      clock: this.clock,
      created: CREATED,
      handlers: { delivery: (delivery) => void this.delivered.push(delivery), lost: () => undefined },
      binding: () => undefined,
    });
    this.session.consume();
  }

  deliver(): void {
    const reply = `$JS.ACK.s.c.1.${++this.sequence}.1.1.0`;
    this.say(null, { subject: 'a', reply, data: Buffer.from('{}'), headers: undefined } as unknown as Msg);
  }

  expire(pending: number): void {
    const headers = { code: 408, description: 'Request Timeout', get: () => String(pending) };
    this.say(null, { subject: '_INBOX.1', data: Buffer.alloc(0), headers } as unknown as Msg);
  }
}

const endOf = (session: PullSession) => Promise.race([session.ended, Promise.resolve('goes on')]);

describe('PullSession', () => {
  it('asks again when a request expired and the server did not say so, without ending', async () => {
    const bed = new Bed(10);
    expect(bed.asked).toEqual([10]);
    await bed.clock.advance(4_500);
    expect(bed.asked).toEqual([10, 10]);
    bed.deliver();
    expect([bed.delivered.length, await endOf(bed.session)]).toEqual([1, 'goes on']);
  });

  it('does not ask again for what the server may still deliver: it must have read the request before', async () => {
    const bed = new Bed(1);
    bed.answersApi = false;
    await bed.clock.advance(4_500);
    expect(bed.asked).toEqual([1]);
    await bed.clock.advance(2_000);
    expect(await bed.session.ended).toBe('the server does not answer');
  });

  it('asks for what expired as soon as the server says so', async () => {
    const bed = new Bed(10);
    bed.deliver();
    await bed.clock.advance(500);
    bed.expire(9);
    await bed.clock.advance(1);
    expect(bed.asked).toEqual([10, 9]);
  });

  it('waits for no word of the server while a handler holds all that it may have', async () => {
    const bed = new Bed(1);
    bed.deliver();
    await bed.clock.advance(60_000);
    void bed.delivered[0].ack();
    await bed.clock.advance(1_000);
    expect([bed.asked, await endOf(bed.session)]).toEqual([[1, 1], 'goes on']);
  });
});
