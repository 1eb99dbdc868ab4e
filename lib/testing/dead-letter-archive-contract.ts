import assert from 'node:assert/strict';
import type { ArchivedEntry, ArchiveEntry, DeadLetterArchive } from '../dead-letter/dead-letter-archive.js';
import { header, type Headers } from '../message/headers.js';
import {
  type SharedStoreBed,
  type SharedStoreCase,
  type SharedStoreChecks,
  type SharedStoreHarness,
  sharedStoreCases,
} from './shared-store-contract.js';

/** How the contract gets at an archive. */
export type DeadLetterArchiveHarness = SharedStoreHarness<DeadLetterArchive>;

/** One archive, as the processes that share it see it. */
export type DeadLetterArchiveBed = SharedStoreBed<DeadLetterArchive>;

export type DeadLetterArchiveCase = SharedStoreCase;

const LEASE = 1_000;
const DLQ = 'orders:order.created:dlq';

/**
 * What every dead-letter archive keeps, as cases for any test runner: each `run()` rejects with an AssertionError where the
 * archive breaks it.
 */
export function deadLetterArchiveContract(harness: DeadLetterArchiveHarness): DeadLetterArchiveCase[] {
  return sharedStoreCases(harness, cases);
}

function entry(key: string, headers: Headers = {}, deadLetterQueue = DLQ): ArchiveEntry {
  const bytes = Buffer.from([0, 255, ...Buffer.from(key)]);
  return {
    key,
    deadLetterQueue,
    message: {
      id: `id-${key}`,
      route: 'order.created',
      body: bytes,
      headers: { tenant: 7, raw: bytes, [header.reason]: 'unrecoverable', [header.originTime]: 1_000, ...headers },
      properties: { contentType: 'application/octet-stream', priority: 3 },
    },
  };
}

const keys = (entries: readonly ArchivedEntry[]): string[] => entries.map(({ key }) => key);
const all = async (archive: DeadLetterArchive): Promise<string[]> => keys(await archive.page({}, 0, 10_000));

const cases: SharedStoreChecks<DeadLetterArchive> = {
  'what was added is there for everybody, byte for byte, in its order': async ({ clock, one, two }) => {
    await one.add([entry('a'), entry('b')]);
    await two.add([entry('c')]);
    for (const archive of [one, two]) {
      const page = await archive.page({}, 0, 10);
      assert.deepEqual(keys(page), ['a', 'b', 'c']);
      assert.equal(await archive.count(), 3);
      const { key, deadLetterQueue, message } = entry('a');
      const { seq: _, ...first } = page[0];
      assert.deepEqual(first, { key, deadLetterQueue, message, archivedAt: clock.now(), allowRetry: false });
    }
  },

  'the same key is kept once, and bringing it again changes nothing': async ({ one, two }) => {
    await one.add([entry('a')]);
    await one.allowRetry(['a'], true);
    await one.claim('t', LEASE, 10);
    await two.add([entry('a'), entry('b'), entry('b')]);
    assert.deepEqual(await all(one), ['a', 'b']);
    assert.deepEqual(keys(await two.claim('u', LEASE, 10)), [], 'its claim is kept');
    assert.equal(await one.remove('a', 't'), true);
  },

  'pages go on behind a place': async ({ one }) => {
    await one.add(['a', 'b', 'c', 'd', 'e'].map((key) => entry(key)));
    const first = await one.page({}, 0, 2);
    const second = await one.page({}, first[1].seq, 2);
    assert.deepEqual(
      [keys(first), keys(second)],
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    );
    assert.deepEqual(keys(await one.page({}, second[1].seq, 2)), ['e']);
  },

  'a query selects by id, queue, reason and time': async ({ one }) => {
    await one.add([
      entry('a'),
      entry('b', { [header.reason]: 'expired', [header.originTime]: 2_000 }),
      entry('c', { [header.originTime]: undefined }, 'other'),
    ]);
    const find = async (query: Parameters<DeadLetterArchive['page']>[0]): Promise<string[]> =>
      keys(await one.page(query, 0, 10));
    assert.deepEqual(await find({ ids: ['id-b', 'id-c', 'no'] }), ['b', 'c']);
    assert.deepEqual(await find({ ids: [] }), []);
    assert.deepEqual(await find({ queues: ['other'] }), ['c']);
    assert.deepEqual(await find({ reason: 'expired' }), ['b']);
    assert.deepEqual(await find({ before: 2_000 }), ['a']);
    assert.deepEqual(await find({ after: 1_000 }), ['b']);
    assert.deepEqual(await find({ reason: 'unrecoverable', queues: [DLQ] }), ['a']);
  },

  'only those with the flag are claimed, in their order, and the flag can be taken away': async ({ one, two }) => {
    await one.add(['a', 'b', 'c', 'd'].map((key) => entry(key)));
    assert.deepEqual(await one.claim('t', LEASE, 10), []);
    assert.equal(await one.allowRetry(['d', 'b', 'c', 'no'], true), 3);
    assert.equal(await two.allowRetry(['c'], false), 1);
    const claimed = await two.claim('t', LEASE, 10);
    assert.deepEqual(keys(claimed), ['b', 'd']);
    assert.equal(claimed[0].allowRetry, true);
    assert.deepEqual(claimed[0].message, entry('b').message);
  },

  'of many that claim at once each entry goes to one': async ({ one, two }) => {
    const names = Array.from({ length: 60 }, (_, at) => `k${at}`);
    await one.add(names.map((key) => entry(key)));
    await one.allowRetry(names, true);
    const claims = await Promise.all(
      Array.from({ length: 10 }, (_, at) => (at % 2 ? one : two).claim(`token-${at}`, LEASE, 7)),
    );
    assert.deepEqual(claims.flatMap(keys).sort(), [...names].sort());
  },

  'a claim whose lease is over is free, and who lost it can neither remove nor release': async ({
    clock,
    one,
    two,
  }) => {
    await one.add([entry('a')]);
    await one.allowRetry(['a'], true);
    await one.claim('t', LEASE, 1);
    await clock.advance(LEASE - 1);
    assert.deepEqual(await two.claim('u', LEASE, 1), []);
    await clock.advance(1);
    assert.deepEqual(keys(await two.claim('u', LEASE, 1)), ['a']);
    assert.equal(await one.remove('a', 't'), false);
    assert.equal(await one.release('a', 't', 0), false);
    assert.deepEqual(await all(one), ['a'], 'nothing that was not sent is gone');
    assert.equal(await two.remove('a', 'u'), true);
    assert.deepEqual(await all(one), []);
  },

  'a lease that is renewed lasts as much longer, for all that its token has': async ({ clock, one, two }) => {
    await one.add([entry('a'), entry('b'), entry('c')]);
    await one.allowRetry(['a', 'b', 'c'], true);
    await one.claim('t', LEASE, 2);
    await two.claim('u', LEASE, 1);
    await clock.advance(900);
    await one.renew('t', LEASE);
    await clock.advance(900);
    assert.deepEqual(keys(await two.claim('v', LEASE, 10)), ['c']);
    await clock.advance(100);
    assert.deepEqual(keys(await two.claim('w', LEASE, 10)), ['a', 'b']);
  },

  'one that is released comes again after its wait, with its flag': async ({ clock, one, two }) => {
    await one.add([entry('a')]);
    await one.allowRetry(['a'], true);
    await one.claim('t', LEASE, 1);
    assert.equal(await one.release('a', 't', 500), true);
    assert.deepEqual(await two.claim('u', LEASE, 1), []);
    await clock.advance(500);
    assert.deepEqual(keys(await two.claim('u', LEASE, 1)), ['a']);
  },

  'delete takes what nobody has claimed': async ({ clock, one, two }) => {
    await one.add(['a', 'b', 'c'].map((key) => entry(key)));
    await one.allowRetry(['b'], true);
    await one.claim('t', LEASE, 1);
    assert.equal(await two.delete(['a', 'b', 'no']), 1);
    assert.deepEqual(await all(two), ['b', 'c']);
    await clock.advance(LEASE);
    assert.equal(await two.delete(['b']), 1);
  },

  'what was removed or deleted can be added again': async ({ one }) => {
    await one.add([entry('a'), entry('b')]);
    await one.delete(['a']);
    await one.add([entry('a')]);
    assert.deepEqual(await all(one), ['b', 'a']);
    assert.deepEqual(await one.claim('t', LEASE, 10), [], 'without its old flag');
  },

  'closing twice does no harm': async ({ one }) => {
    await one.close();
    await one.close();
  },
};
