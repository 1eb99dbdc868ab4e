import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { AmqpError } from '../../../lib/transports/rabbitmq/connection/amqplib.js';
import { reconnectDelay } from '../../../lib/transport/reconnect-delay.js';
import { explainMismatch } from '../../../lib/transports/rabbitmq/connection/broker-errors.js';
import {
  isCausedByPublish,
  isolate,
  suspectsOf,
  type Verdict,
} from '../../../lib/transports/rabbitmq/publishing/isolation.js';
import { NackWatch } from '../../../lib/transports/rabbitmq/publishing/nack-watch.js';
import type { InFlight } from '../../../lib/transports/rabbitmq/publishing/publish-channel.js';
import { Undeliverable } from '../../../lib/transport/undeliverable.js';

describe('backoff', () => {
  it('doubles up to the most, and varies by the jitter', () => {
    const policy = { initial: 100, max: 1_000, jitter: 0.2 };
    expect([1, 2, 3, 4, 5, 500].map((failures) => reconnectDelay(policy, failures, () => 0.5))).toEqual([
      100, 200, 400, 800, 1_000, 1_000,
    ]);
    expect([reconnectDelay(policy, 1, () => 0), reconnectDelay(policy, 1, () => 1)]).toEqual([80, 120]);
  });
});

describe('NackWatch', () => {
  it('asks for a new channel after three nacks in a row, then at growing intervals, until an ack', async () => {
    const clock = new ManualClock();
    const watch = new NackWatch(clock);
    const three = (): boolean[] => [watch.nacked(), watch.nacked(), watch.nacked()];
    expect(three()).toEqual([false, false, true]);
    expect(three()).toEqual([false, false, false]);
    await clock.advance(1_000);
    expect(watch.nacked()).toBe(true);
    await clock.advance(1_000);
    expect(three()).toEqual([false, false, false]);
    watch.acked();
    await clock.advance(1_000);
    expect(three()).toEqual([false, false, true]);
  });
});

describe('isolation', () => {
  const entry = (exchange: string, size: number): InFlight => ({
    exchange,
    routingKey: 'r',
    body: Buffer.alloc(size),
    options: {},
    room: 0,
    sentAt: 0,
    returned: false,
  });
  const refused = (text: string, code = 406): AmqpError =>
    Object.assign(new Error(`Channel closed by server: ${code} (X) with message "${text}"`), {
      code,
      classId: 60,
      methodId: 40,
    });

  it('is for channels closed by a publish, but not for a missing exchange', () => {
    expect(isCausedByPublish(refused('x'))).toBe(true);
    expect(isCausedByPublish(refused('x', 404))).toBe(false);
    expect(isCausedByPublish(Object.assign(refused('x'), { methodId: 20 }))).toBe(false);
    expect(isCausedByPublish(undefined)).toBe(false);
  });

  it.each([
    ['PRECONDITION_FAILED - message size 300000 is larger than configured max size 200000', [1]],
    ["ACCESS_REFUSED - write access to exchange 'b' in vhost '/' refused for user 'u'", [2]],
    ['PRECONDITION_FAILED - something new', [0, 1, 2]],
  ])('%s: suspects %j', (text, expected) => {
    const entries = [entry('a', 10), entry('a', 300_000), entry('b', 10)];
    const { suspects, others } = suspectsOf(entries, refused(text));
    expect(suspects.map((one) => entries.indexOf(one))).toEqual(expected);
    expect(suspects.length + others.length).toBe(3);
  });

  it('sends each alone, in order, and gives up the rest when nothing can be sent', async () => {
    const entries = [entry('a', 1), entry('a', 2), entry('a', 3), entry('a', 4)];
    const verdicts: Verdict[] = ['acked', refused('x'), 'lost'];
    const sent: InFlight[] = [];
    const told: string[] = [];
    await isolate(
      entries,
      async (one) => (sent.push(one), verdicts[sent.length - 1]),
      (_, verdict) => told.push(typeof verdict === 'string' ? verdict : 'refused'),
    );
    expect(told).toEqual(['acked', 'refused', 'lost', 'lost']);
    expect(sent).toEqual(entries.slice(0, 3));
  });
});

describe('explainMismatch', () => {
  it.each([
    [
      "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'classic' but current is 'quorum'",
      'The queue «q» exists with another «x-queue-type»: wanted «classic», found «quorum»',
    ],
    [
      "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received the value '5' of type 'signedint' but current is none",
      'The queue «q» exists with another «x-max-length»: wanted «5», found none',
    ],
    [
      "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'e' in vhost '/': received 'topic' but current is 'fanout'",
      'The exchange «e» exists with another «type»: wanted «topic», found «fanout»',
    ],
  ])('%s', (text, expected) => {
    expect(explainMismatch(text)).toContain(expected);
  });
});

describe('Undeliverable', () => {
  it('counts each message once, forgets it when delivered or not seen for long', async () => {
    const clock = new ManualClock();
    const undeliverable = new Undeliverable<string>({ clock, onEvent: () => undefined });
    expect([undeliverable.seen('1 r'), undeliverable.seen('1 r'), undeliverable.seen('2 r')]).toEqual([
      true,
      false,
      true,
    ]);
    expect(undeliverable.count).toBe(2);
    undeliverable.delivered('1 r');
    expect(undeliverable.count).toBe(1);
    await clock.advance(200_000);
    expect(undeliverable.count).toBe(0);
  });
});
