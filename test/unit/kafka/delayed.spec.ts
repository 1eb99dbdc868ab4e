import { describe, expect, it } from '@jest/globals';
import { delayed, LEVEL_WAITS_MS, nextWait, undelayed, waitsUntil } from '../../../lib/transports/kafka/delayed.js';
import { Names } from '../../../lib/transports/kafka/names.js';
import { record } from './records.js';

const names = new Names('events');

describe('what is not due yet', () => {
  it('waits in the longest level that is not too long, and all in a level wait equally long', () => {
    expect(LEVEL_WAITS_MS.slice(0, 4)).toEqual([250, 1_000, 4_000, 16_000]);
    expect(nextWait(10_100, 10_000)).toEqual({ levelMs: 250, until: 10_100 });
    expect(nextWait(10_999, 10_000)).toEqual({ levelMs: 250, until: 10_250 });
    expect(nextWait(13_999, 10_000)).toEqual({ levelMs: 1_000, until: 11_000 });
    expect(nextWait(14_000, 10_000)).toEqual({ levelMs: 4_000, until: 14_000 });
  });

  it.each([1, 249, 250, 251, 999, 5_000, 3_600_000, 86_400_000, 30 * 86_400_000])(
    'of %d ms comes exactly when it is due, after few looks',
    (delayMs) => {
      let now = 1_000;
      let looks = 0;
      for (; now < 1_000 + delayMs; looks++) now = nextWait(1_000 + delayMs, now).until;
      expect(now).toBe(1_000 + delayMs);
      expect(looks).toBeLessThanOrEqual(30 + delayMs / 65_536_000);
    },
  );

  it('is afterwards what it was, and remembers where it goes', () => {
    const sent = { topic: 'elsewhere', key: 'k', value: Buffer.from('x'), headers: { a: 'b' } };
    const waiting = delayed(sent, { dueAt: 5_000, optional: true, round: 2 }, 1_000, names);
    expect(waiting.topic).toBe('events.delay.4000');
    const found = record(0, { ...waiting, key: Buffer.from('k') });
    expect(waitsUntil(found, 1_000)).toBe(5_000);
    expect(undelayed(found)).toEqual({
      record: { ...sent, key: Buffer.from('k') },
      due: { dueAt: 5_000, optional: true, round: 2 },
    });
  });

  it('that is none of ours is left alone', () => {
    expect(undelayed(record(0, { headers: { 'messaging-kafka-due-at': '7' } }))).toBeUndefined();
    expect(waitsUntil(record(0), 0)).toBe(0);
  });
});

describe('names', () => {
  it('differ for different queues, are legal, and short enough', () => {
    const queues = ['a:b', 'a_3Ab', 'a.b', 'a_b', 'ä:b', 'x'.repeat(255), `${'x'.repeat(254)}y`];
    const topics = queues.map((queue) => names.queueTopic(queue));
    expect(new Set(topics).size).toBe(queues.length);
    for (const topic of topics) expect(topic).toMatch(/^events\.queue\.[A-Za-z0-9._-]{1,200}$/);
    expect(names.queueTopic('orders:order.created:queue')).toBe('events.queue.orders_3Aorder.created_3Aqueue');
  });

  it('have as many characters as Kafka takes at most, also with a long name of the topic', () => {
    const long = new Names('t'.repeat(100));
    const topics = ['q', 'p'].map((last) => long.queueTopic('q'.repeat(199) + last));
    expect(topics.map(({ length }) => length)).toEqual([249, 249]);
    expect(topics[0]).not.toBe(topics[1]);
  });

  it('of dead letters are those of the queue that their route leads to', () => {
    const to = { kind: 'dead-letter', route: 'r' } as const;
    expect(names.topicOf(to, new Map())).toBe(names.queueTopic('r'));
    expect(names.topicOf(to, new Map([['r', 'q']]))).toBe(names.queueTopic('q'));
  });
});
