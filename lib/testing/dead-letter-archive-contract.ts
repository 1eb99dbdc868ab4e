import assert from 'node:assert/strict';
import { ArchivePlace } from '../dead-letter/archive-place.js';
import type { DeadLetter } from '../dead-letter/dead-letter.js';
import type { ArchivedEntry, DeadLetterEntry, DeadLetterArchive } from '../dead-letter/dead-letter-archive.js';
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

function entry(key: string, headers: Headers = {}, deadLetterQueue = DLQ): DeadLetterEntry {
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
const due = async (archive: DeadLetterArchive): Promise<string[]> => keys(await archive.page({ due: true }, 0, 10));

const cases: SharedStoreChecks<DeadLetterArchive> = {
  'a dead letter of another client, with a long id and reason, is kept and found': async ({ one, two }) => {
    // No two of its parts are alike, so that nothing can make it shorter.
    const long = Array.from({ length: 1_000 }, (_, n) => Math.sin(n).toString(36)).join('');
    const given = entry('a', { [header.reason]: long });
    await one.add([{ ...given, message: { ...given.message, id: long } }, entry('b')]);
    assert.deepEqual(keys(await two.page({ ids: [long] }, 0, 10)), ['a']);
    assert.equal(await two.count(), 2);
  },

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
    await one.claim(['a'], 't', LEASE);
    await two.add([entry('a'), entry('b'), entry('b')]);
    assert.deepEqual(await all(one), ['a', 'b']);
    assert.deepEqual(await two.claim(['a'], 'u', LEASE), [], 'its claim is kept');
    assert.equal(await one.release(['a'], 't', 0), 1);
    assert.deepEqual(await due(two), ['a'], 'its flag is kept');
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

  'how many are behind a place, and which is the last': async ({ one, two }) => {
    assert.equal(await one.lastSeq(), 0);
    await one.add(['a', 'b', 'c'].map((key) => entry(key)));
    const last = await two.lastSeq();
    const page = await one.page({}, 0, 10);
    assert.equal(last, page[2].seq);
    assert.equal(await two.count({}, page[0].seq), 2);
    await one.add([entry('d', { [header.reason]: 'expired' }), entry('e')]);
    assert.equal(await two.count({ reason: 'expired' }), 1);
    assert.equal(await two.count({ reason: 'expired' }, last), 1);
    assert.equal(await two.count({ reason: 'unrecoverable' }, last), 1);
  },

  'those with the flag that nobody has are due, in their order, and the flag can be taken away': async ({
    one,
    two,
  }) => {
    await one.add(['a', 'b', 'c', 'd', 'e'].map((key) => entry(key)));
    assert.deepEqual(await due(one), []);
    assert.equal(await one.allowRetry(['d', 'b', 'c', 'e', 'no'], true), 4);
    assert.equal(await two.allowRetry(['c'], false), 1);
    await one.claim(['e'], 't', LEASE);
    const found = await two.page({ due: true }, 0, 10);
    assert.deepEqual(keys(found), ['b', 'd']);
    assert.equal(found[0].allowRetry, true);
    assert.deepEqual(found[0].message, entry('b').message);
    assert.equal(await two.count({ due: true }), 2);
  },

  'of many that claim at once each entry goes to one, with its flag or without': async ({ one, two }) => {
    const names = Array.from({ length: 60 }, (_, at) => `k${at}`);
    await one.add(names.map((key) => entry(key)));
    await one.allowRetry(names.slice(30), true);
    const claims = await Promise.all(
      Array.from({ length: 10 }, (_, at) => (at % 2 ? one : two).claim([...names, 'no'], `token-${at}`, LEASE)),
    );
    assert.deepEqual(claims.flat().sort(), [...names].sort());
  },

  'a claim whose lease is over is free, and who lost it can neither delete nor release': async ({
    clock,
    one,
    two,
  }) => {
    await one.add([entry('a'), entry('b')]);
    await one.claim(['a'], 't', LEASE);
    await clock.advance(LEASE - 1);
    assert.deepEqual(await two.claim(['a', 'b'], 'u', LEASE), ['b']);
    await clock.advance(1);
    assert.deepEqual(await two.claim(['a'], 'u', LEASE), ['a']);
    assert.equal(await one.release(['a'], 't', 0), 0);
    assert.equal(await one.delete(['a'], 't'), 0);
    assert.deepEqual(await one.claim(['a'], 't', LEASE), []);
    assert.deepEqual(await all(one), ['a', 'b'], 'nothing that was not sent is gone');
    assert.equal(await two.delete(['a', 'a', 'no'], 'u'), 1);
    assert.deepEqual(await all(one), ['b']);
  },

  'what its token claims again it has for as much longer': async ({ clock, one, two }) => {
    await one.add([entry('a'), entry('b')]);
    await one.claim(['a', 'b'], 't', LEASE);
    await clock.advance(900);
    assert.deepEqual(await one.claim(['a'], 't', LEASE), ['a']);
    await clock.advance(900);
    assert.deepEqual(await two.claim(['a', 'b'], 'u', LEASE), ['b']);
    await clock.advance(100);
    assert.deepEqual(await two.claim(['a'], 'u', LEASE), ['a']);
  },

  'what is released is due again after its wait, with its flag, and can be claimed before': async ({
    clock,
    one,
    two,
  }) => {
    await one.add([entry('a'), entry('b')]);
    await one.allowRetry(['a', 'b'], true);
    await one.claim(['a', 'b'], 't', LEASE);
    assert.equal(await one.release(['a', 'b', 'no'], 't', 500), 2);
    assert.deepEqual(await due(two), []);
    assert.deepEqual(await two.claim(['b'], 'u', LEASE), ['b']);
    await clock.advance(500);
    assert.deepEqual(await due(two), ['a']);
  },

  'delete takes what nobody has claimed': async ({ clock, one, two }) => {
    await one.add(['a', 'b', 'c'].map((key) => entry(key)));
    await one.claim(['b'], 't', LEASE);
    assert.equal(await two.delete(['a', 'b', 'no']), 1);
    assert.deepEqual(await all(two), ['b', 'c']);
    await clock.advance(LEASE);
    assert.equal(await two.delete(['b']), 1);
  },

  'what was deleted can be added again': async ({ one }) => {
    await one.add([entry('a'), entry('b')]);
    await one.allowRetry(['a'], true);
    await one.delete(['a']);
    await one.add([entry('a')]);
    assert.deepEqual(await all(one), ['b', 'a']);
    assert.deepEqual(await due(one), [], 'without its old flag');
  },

  'what is too old or too many can be deleted, the oldest first, but for what may be tried again or is being sent':
    async ({ one, two }) => {
      const times = { a: 1_000, b: 2_000, c: 3_000, d: 4_000, e: 5_000, f: 6_000, g: 7_000 };
      await one.add(Object.entries(times).map(([key, time]) => entry(key, { [header.originTime]: time })));
      await one.add([entry('unknown', { [header.originTime]: '' })]);
      await one.allowRetry(['a'], true);
      await two.claim(['b'], 'sending', LEASE);
      const gone: string[] = [];
      const deleted = ({ id }: DeadLetter, cause: string): void => void gone.push(`${id} ${cause}`);
      const expire = (by: DeadLetterArchive, before: number, maxCount: number): Promise<void> =>
        new ArchivePlace(by).expire({ before, maxCount, deleted, isStopped: () => false });
      await expire(one, 4_000, Infinity);
      assert.deepEqual(gone.splice(0), ['id-c maxAge']);
      assert.deepEqual(await all(one), ['a', 'b', 'd', 'e', 'f', 'g', 'unknown']);
      await Promise.all([expire(one, -Infinity, 3), expire(two, -Infinity, 3)]);
      assert.deepEqual(gone.sort(), ['id-d maxCount', 'id-e maxCount']);
      assert.deepEqual(await all(two), ['a', 'b', 'f', 'g', 'unknown'], 'the three newest, and what was to be left');
    },

  'closing twice does no harm': async ({ one }) => {
    await one.close();
    await one.close();
  },
};
