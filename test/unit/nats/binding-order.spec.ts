import { expect, test } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { Binding, describeQueue, type QueueRecord, recordOf } from '../../../lib/transports/nats/topology/binding.js';
import type { Link } from '../../../lib/transports/nats/connection/link.js';
import { deadLetterSubject, directSubject, namesOf, routeSubject } from '../../../lib/transports/nats/names.js';
import type { Settings } from '../../../lib/transports/nats/options.js';
import { covers } from '../../../lib/transports/nats/topology/patterns.js';
import { Queues } from '../../../lib/transports/nats/topology/queues.js';

const names = namesOf('events');
const subject = (route: string): string => routeSubject('events', route);

/** A consumer on a stream to which something is published before each request. */
function busyServer(record: QueueRecord) {
  let config: any = { description: describeQueue(record), filter_subjects: ['none'] };
  let last = 100;
  const letInAt = new Map<string, number>();
  const consumers = {
    info: async () => Promise.resolve({ config, delivered: { stream_seq: ++last } }),
    update: async (_: string, __: string, change: object) => {
      config = { ...config, ...change };
      last++;
      const { filter_subject: one, filter_subjects: many = [one] } = config;
      for (const filter of many) if (!letInAt.has(filter)) letInAt.set(filter, last);
      return Promise.resolve({ config });
    },
  };
  const streams = { info: async () => Promise.resolve({ state: { last_seq: ++last } }) };
  const link = { manager: { consumers, streams }, manyFilters: true } as unknown as Link;
  return { link, letInAt, record: () => recordOf(config)! };
}

const queues = new Queues(
  ...[names, {} as Settings, {} as never, {} as never, true, 'shop', new ManualClock()],
  ...[(text: string) => text, () => {}],
);
const old: QueueRecord = { queue: 'q', topic: 'events', patterns: { a: 0 }, routes: ['dead'], since: 7 };

test('what came before a queue was bound anew does not count as taken', async () => {
  const { link, letInAt, record } = busyServer(old);
  await queues.ensure(link, { ...old, patterns: { 'b.*': 0 }, routes: [] }, 'now', true);
  const binding = new Binding(record(), names);
  const [letIn] = [...letInAt].find(([filter]) => covers(filter, subject('b.c')))!.slice(1) as number[];
  expect(binding.takenSince(subject('b.c'))).toBeGreaterThan(letIn);
  const others = [subject('a'), directSubject('q', names), deadLetterSubject('dead', names)];
  expect(others.map((one) => binding.takenSince(one))).toEqual([7, 7, 7]);
  expect(binding.takenSince(subject('c'))).toBeUndefined();
});

test('who has died amid that is followed by whoever declares the queue next; until then nobody knows', async () => {
  const half = { ...old, patterns: { a: 0, b: 0 }, from: { b: -1 } };
  expect(new Binding(half, names).takenSince(subject('b'))).toBeNaN();
  const { link, record } = busyServer(half);
  await queues.ensure(link, { ...old, routes: [] }, 'now', true);
  expect(record().from!.b).toBeGreaterThan(100);
});

test('what matches an old pattern as well as a new one is taken since the old one', () => {
  const record = { ...old, patterns: { 'a.#': 0, 'a.b': 0 }, from: { 'a.b': 50 } };
  expect(new Binding(record, names).takenSince(subject('a.b'))).toBe(7);
  expect(new Binding({ ...record, since: undefined }, names).takenSince(subject('a.b'))).toBeNaN();
});

test('where there is no room for it, the description of a queue goes without', async () => {
  const { link, record } = busyServer(old);
  const patterns = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`${'x'.repeat(80)}${at}`, 0]));
  await queues.ensure(link, { ...old, patterns, routes: [] }, 'now', true);
  expect(Object.keys(record().patterns)).toHaveLength(31);
  expect(record().from).toBeUndefined();
});
