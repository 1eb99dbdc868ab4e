import { describe, expect, test } from '@jest/globals';
import { readDeadLetter } from '../../../lib/dead-letter/dead-letter.js';
import type { Headers } from '../../../lib/message/headers.js';
import { withBrokerDeath } from '../../../lib/transports/rabbitmq/queues/broker-deaths.js';

const DEATH = {
  queue: 'orders:queue',
  reason: 'delivery_limit',
  exchange: 'events',
  'routing-keys': ['order.created'],
  count: 3,
  time: { '!': 'timestamp', value: 1_700_000_000 },
};

function read(deaths: unknown, headers: Headers = {}): ReturnType<typeof readDeadLetter> {
  const message = { id: 'a', route: 'r', body: Buffer.from('1'), headers, properties: {} };
  return readDeadLetter(withBrokerDeath(message, { 'x-death': deaths } as Headers), 'dlq');
}

describe('what the broker says of a message that it dead-lettered', () => {
  test('the latest of several deaths counts: when, from where, why and how often', () => {
    const earlier = { ...DEATH, queue: 'another', time: { '!': 'timestamp', value: 1 } };
    expect(read([DEATH, earlier])).toMatchObject({
      time: 1_700_000_000_000,
      reason: 'broker: delivery_limit',
      route: 'order.created',
      error: { message: 'The broker took it out of «orders:queue» (delivery_limit, 3 times)' },
      origin: { queue: 'orders:queue', topic: 'events' },
    });
  });

  test('a copy of ours keeps where its original came from', () => {
    const headers = { 'messaging-origin-queue': 'home', 'messaging-origin-route': 'order.paid' };
    expect(read([DEATH], headers)).toMatchObject({
      time: 1_700_000_000_000,
      reason: 'broker: delivery_limit',
      route: 'order.paid',
      origin: { queue: 'home' },
    });
  });

  test('what was given up by a subscription is told by that, whatever the broker did before', () => {
    const headers = { 'messaging-reason': 'unrecoverable', 'messaging-origin-time': 5 };
    expect(read([DEATH], headers)).toMatchObject({ reason: 'unrecoverable', time: 5 });
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['no list', 'x'],
    ['an empty list', []],
    ['a list of something else', [7]],
  ])('%s is no account', (_, deaths) => expect(read(deaths)).toMatchObject({ reason: 'unknown', time: undefined }));

  test.each([undefined, 'soon', { value: 'x' }, { '!': 'timestamp', value: Infinity }, null])(
    'a time that is none, %j, is unknown, and the rest is told',
    (time) => expect(read([{ ...DEATH, time }])).toMatchObject({ reason: 'broker: delivery_limit', time: undefined }),
  );
});
