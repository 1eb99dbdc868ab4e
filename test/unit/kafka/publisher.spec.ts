import { expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { Outgoing, PublishResult } from '../../../lib/transport/outgoing.js';
import type { TransportEnvironment } from '../../../lib/transport/transport.js';
import type { KafkaLink, OutgoingRecord } from '../../../lib/transports/kafka/client-port.js';
import { decode } from '../../../lib/transports/kafka/codec.js';
import type { Link } from '../../../lib/transports/kafka/link.js';
import { Names } from '../../../lib/transports/kafka/names.js';
import { checkOptions } from '../../../lib/transports/kafka/options.js';
import { Publisher } from '../../../lib/transports/kafka/publisher.js';
import { Topics } from '../../../lib/transports/kafka/topics.js';
import type { SupervisedConnection } from '../../../lib/transports/kit/supervised-connection.js';
import { record } from './records.js';

it('a delayed message that has nowhere to wait failed, and is not unroutable, although it is due once that is known', async () => {
  const clock = new ManualClock(1_000);
  const names = new Names('events');
  const settings = checkOptions({});
  const slow = async (): Promise<Map<string, number>> => {
    await clock.advance(100);
    return new Map();
  };
  const link: Link = {
    client: { topics: slow } as Partial<KafkaLink> as KafkaLink,
    topics: new Map(),
    answered: (work) => work,
  };
  const connection = { current: link } as Partial<SupervisedConnection<Link>> as SupervisedConnection<Link>;
  const environment = { clock } as Partial<TransportEnvironment> as TransportEnvironment;
  const topics = new Topics(settings, names, false, clock, () => {});
  const publisher = new Publisher(settings, names, environment, connection, topics, () => {});
  const { message } = decode(record(0), 'q', 'events.queue.q');
  const outgoing: Outgoing = {
    to: { kind: 'queue', queue: 'q' },
    message,
    dedupeId: '1',
    mandatory: true,
    dueAt: 1_060,
  };
  const result = await new Promise<PublishResult>((resolve) =>
    publisher.publish([outgoing], (_, told) => resolve(told)),
  );
  expect(result).toMatchObject({ status: 'failed', missing: true });
});

/** A publisher, and how many records each of its requests had. */
function publishing(maxBytes?: number) {
  const sent: number[] = [];
  const produce = async (records: readonly unknown[]): Promise<void> => void sent.push(records.length);
  const link: Link = {
    client: { topics: async () => new Map([['events', 1]]), produce } as Partial<KafkaLink> as KafkaLink,
    topics: new Map([['events', 1]]),
    answered: (work) => work,
  };
  const connection = { current: link } as Partial<SupervisedConnection<Link>> as SupervisedConnection<Link>;
  const clock = new ManualClock(1_000);
  const environment = { clock, confirmTimeout: 1_000 } as Partial<TransportEnvironment> as TransportEnvironment;
  const settings = checkOptions(maxBytes === undefined ? {} : { maxBytes });
  const names = new Names('events');
  const topics = new Topics(settings, names, false, clock, () => {});
  const publisher = new Publisher(settings, names, environment, connection, topics, () => {});
  const missing = (): PublishResult => ({ status: 'confirmed' });
  const send = (record: Omit<OutgoingRecord, 'topic'>): Promise<PublishResult> =>
    new Promise((tell) => publisher.send({ record: { topic: 'events', ...record }, missing, tell }));
  return { sent, send };
}

it('what is published in answer to one request shares the next one, however late in the turn', async () => {
  const { sent, send } = publishing();
  const lane = async (steps: number): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      await send({ key: null, value: Buffer.alloc(0), headers: {} });
      for (let step = 0; step < steps; step++) await Promise.resolve();
    }
  };
  await Promise.all([0, 1, 5, 20].map(lane));
  expect(sent).toEqual([4, 4, 4]);
});

it.each([
  ['bodies', (n: number) => ({ key: `k${n}`, value: Buffer.alloc(30_000), headers: {} }), 3],
  [
    'keys and headers that are not ASCII',
    (n: number) => ({
      key: 'ж'.repeat(5_000),
      value: Buffer.of(n),
      headers: { text: 'ж'.repeat(5_000), more: ['ж'.repeat(5_000)] },
    }),
    3,
  ],
])('what goes in one request is no more than maxBytes: %s', async (_, recordOf, together) => {
  const { sent, send } = publishing(100_000);
  await Promise.all(Array.from({ length: 7 }, (_unused, n) => send(recordOf(n))));
  expect(sent).toEqual([together, together, 1]);
});
