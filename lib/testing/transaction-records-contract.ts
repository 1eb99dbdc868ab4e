import assert from 'node:assert/strict';
import type {
  NewTransactionRecord,
  TransactionRecord,
  TransactionRecordStore,
} from '../transaction/transaction-record.js';
import {
  type SharedStoreBed,
  type SharedStoreCase,
  type SharedStoreChecks,
  type SharedStoreHarness,
  sharedStoreCases,
} from './shared-store-contract.js';

/** How the contract gets at a store of transaction records; all its views have one scope. */
export type TransactionRecordsHarness = SharedStoreHarness<TransactionRecordStore>;

/** One store, as the processes that share it see it. */
export type TransactionRecordsBed = SharedStoreBed<TransactionRecordStore>;

export type TransactionRecordsCase = SharedStoreCase;

const ROUTES = ['order.created'];
const NOTE = { state: 'unknown', checks: 1, reason: 'who knows' } as const;
const PARKED = { state: 'parked', checks: 9, reason: 'nobody knows' } as const;

/**
 * What every store of transaction records keeps, as cases for any test runner: each `run()` rejects with an AssertionError
 * where the store breaks it.
 */
export function transactionRecordsContract(harness: TransactionRecordsHarness): TransactionRecordsCase[] {
  return sharedStoreCases(harness, cases);
}

function record(id: string, more: Partial<NewTransactionRecord> = {}): NewTransactionRecord {
  return {
    id,
    route: 'order.created',
    timeoutMs: 30_000,
    preparedAt: 5,
    meta: `{"id":"${id}"}`,
    body: Buffer.from(id),
    ...more,
  };
}

const ids = (records: readonly TransactionRecord[]): string[] => records.map(({ id }) => id);
const all = async (store: TransactionRecordStore): Promise<string[]> => ids(await store.page(undefined, 0, 10_000));

/** The owner is seen, and ended. */
async function bury(store: TransactionRecordStore, owner: string): Promise<boolean> {
  const seen = (await store.owners()).find((one) => one.owner === owner);
  assert.ok(seen, `${owner} is seen`);
  return store.bury(seen);
}

const cases: SharedStoreChecks<TransactionRecordStore> = {
  'a prepared record is there for everybody, byte for byte': async ({ one, two }) => {
    const body = Buffer.from([0, 255, 1, 254]);
    const given = record('ä 😀', { body, meta: '{"a":"\\u0000ü"}', timeoutMs: 7, preparedAt: 2_000_000_000_000 });
    await one.prepare(given, 'a');
    for (const store of [one, two]) {
      const found = await store.find('ä 😀');
      assert.ok(found && Number.isInteger(found.seq) && found.seq >= 1);
      const { seq: _, reason, ...rest } = found;
      assert.equal(reason, undefined);
      assert.deepEqual(rest, { ...given, state: 'prepared', owner: 'a', checks: 0 });
    }
    assert.equal(await two.find('other'), undefined);
  },

  'a message without a body is one like any other': async ({ one, two }) => {
    await one.prepare(record('a', { body: Buffer.alloc(0) }), 'a');
    assert.equal((await two.find('a'))?.body.length, 0);
  },

  'preparing and beating make beats grow, and nothing else does': async ({ clock, one, two }) => {
    await one.prepare(record('1'), 'a');
    await two.beat('b');
    const first = await two.owners();
    assert.deepEqual(first.map(({ owner }) => owner).sort(), ['a', 'b']);
    await clock.advance(3_600_000);
    await one.note('1', 'a', NOTE);
    assert.deepEqual(await two.owners(), first);
    await one.beat('a');
    await one.prepare(record('2'), 'a');
    const beats = (from: typeof first, of: string): number => from.find(({ owner }) => owner === of)!.beats;
    const later = await two.owners();
    assert.ok(beats(later, 'a') > beats(first, 'a'));
    assert.equal(beats(later, 'b'), beats(first, 'b'));
  },

  'who has beaten since cannot be buried': async ({ one, two }) => {
    await one.prepare(record('1'), 'a');
    const [seen] = await two.owners();
    await one.beat('a');
    assert.equal(await two.bury(seen), false);
    assert.deepEqual(await two.adopt('b', ROUTES, 10), []);
    assert.equal(await bury(two, 'a'), true);
    assert.equal(await two.bury(seen), false);
  },

  'the records of a living owner are not adopted; those of one that was buried or left are, once': async ({
    one,
    two,
  }) => {
    for (const id of ['1', '2', '3']) await one.prepare(record(id), 'a');
    await two.prepare(record('4'), 'b');
    assert.deepEqual(await two.adopt('b', ROUTES, 10), []);
    await bury(two, 'a');
    const adopted = await two.adopt('b', ROUTES, 2);
    assert.deepEqual(ids(adopted), ['1', '2']);
    assert.deepEqual(
      adopted.map(({ owner }) => owner),
      ['b', 'b'],
    );
    assert.deepEqual(adopted[0], await one.find('1'));
    assert.deepEqual(ids(await two.adopt('c', ROUTES, 10)), ['3']);
    assert.deepEqual(await two.adopt('c', ROUTES, 10), []);
    await two.leave('b');
    assert.deepEqual(ids(await one.adopt('c', ROUTES, 10)), ['1', '2', '4']);
  },

  'an owner that was buried by mistake is there again with its next beat': async ({ one, two }) => {
    await one.prepare(record('1'), 'a');
    await bury(two, 'a');
    await one.beat('a');
    assert.deepEqual(await two.adopt('b', ROUTES, 10), []);
  },

  'who adopts lives': async ({ one, two }) => {
    await one.prepare(record('1'), 'a');
    await one.leave('a');
    await two.adopt('b', ROUTES, 10);
    assert.deepEqual(
      (await one.owners()).map(({ owner }) => owner),
      ['b'],
    );
  },

  'of many that adopt at once each record goes to one': async ({ one, two }) => {
    for (let round = 0; round < 5; round++) {
      for (let n = 0; n < 20; n++) await one.prepare(record(`${round}-${n}`), `dead-${round}`);
      await one.leave(`dead-${round}`);
      const taken = await Promise.all(
        Array.from({ length: 10 }, (_, n) => (n % 2 ? one : two).adopt(`owner-${n}`, ROUTES, 7)),
      );
      const every = taken.flatMap(ids);
      assert.equal(new Set(every).size, every.length);
      assert.equal(every.length, 20);
    }
  },

  'only routes that are asked for are adopted, and what has committed, whatever its route': async ({ one, two }) => {
    await one.prepare(record('1', { route: 'order.created' }), 'a');
    await one.prepare(record('2', { route: "order.paid'" }), 'a');
    await one.prepare(record('3', { route: 'order.shipped' }), 'a');
    await one.commit(record('3', { route: 'order.shipped' }), 'a');
    await one.leave('a');
    assert.deepEqual(ids(await two.adopt('b', [], 10)), ['3']);
    assert.deepEqual(ids(await two.adopt('b', ["order.paid'", 'other'], 10)), ['2']);
    assert.deepEqual(ids(await two.adopt('b', ROUTES, 10)), ['1']);
  },

  'what is noted is kept, by the owner only': async ({ one, two }) => {
    await one.prepare(record('1'), 'a');
    assert.equal(await two.note('1', 'b', NOTE), false);
    assert.equal((await one.find('1'))?.state, 'prepared');
    assert.equal(await one.note('1', 'a', NOTE), true);
    const { state, checks, reason } = (await two.find('1'))!;
    assert.deepEqual({ state, checks, reason }, NOTE);
    assert.equal(await one.note('other', 'a', NOTE), false);
  },

  'a commit counts, whoever has the record and whatever it was': async ({ one, two }) => {
    for (const id of ['prepared', 'parked', 'another’s', 'gone']) await one.prepare(record(id), 'a');
    await one.note('parked', 'a', PARKED);
    await bury(two, 'a');
    await two.adopt('b', ROUTES, 10);
    await two.remove('gone', 'b');
    for (const id of ['prepared', 'parked', 'another’s', 'gone']) {
      await one.commit(record(id), 'a');
      const found = await two.find(id);
      assert.deepEqual([found?.state, found?.owner, found?.body.toString()], ['committed', 'a', id]);
      assert.equal(await two.remove(id, 'b'), false, 'who had it before has it no more');
      assert.equal(await one.note(id, 'a', NOTE), false, 'what is known stays known');
    }
  },

  'a record is removed by its owner only': async ({ one, two }) => {
    await one.prepare(record('1'), 'a');
    assert.equal(await two.remove('1', 'b'), false);
    assert.equal(await one.remove('1', 'a'), true);
    assert.equal(await one.remove('1', 'a'), false);
    assert.deepEqual(await all(two), []);
  },

  'a parked record stays where it is until somebody says what became of it': async ({ one, two }) => {
    for (const id of ['1', '2', '3', 'not']) await one.prepare(record(id), 'a');
    for (const id of ['1', '2', '3']) await one.note(id, 'a', PARKED);
    await one.leave('a');
    assert.deepEqual(ids(await two.adopt('b', ROUTES, 10)), ['not']);
    assert.deepEqual(ids(await two.page('parked', 0, 10)), ['1', '2', '3']);
    assert.equal(await two.resolve('1', 'b', 'committed'), true);
    assert.equal(await two.resolve('2', 'b', 'rolled-back'), true);
    assert.equal(await two.resolve('3', 'b', 'unknown'), true);
    const committed = (await one.find('1'))!;
    assert.deepEqual([committed.state, committed.owner, committed.checks], ['committed', 'b', 0]);
    assert.equal(await one.find('2'), undefined);
    const anew = (await one.find('3'))!;
    assert.deepEqual([anew.state, anew.owner, anew.checks, anew.reason], ['unknown', 'b', 0, undefined]);
    for (const id of ['1', '2', '3', 'not', 'other'])
      for (const outcome of ['committed', 'rolled-back', 'unknown'] as const)
        assert.equal(await one.resolve(id, 'c', outcome), false, `${id} is not parked`);
    assert.equal((await one.find('not'))?.owner, 'b');
  },

  'records are listed in their order, a page at a time, and counted by state': async ({ one, two }) => {
    for (let n = 0; n < 10; n++) await (n % 2 ? one : two).prepare(record(`r${n}`), 'a');
    await one.note('r3', 'a', NOTE);
    await one.note('r7', 'a', PARKED);
    await one.commit(record('r5'), 'a');
    const first = await two.page(undefined, 0, 4);
    assert.deepEqual(ids(first), ['r0', 'r1', 'r2', 'r3']);
    assert.deepEqual(ids(await two.page(undefined, first[3].seq, 100)), ['r4', 'r5', 'r6', 'r7', 'r8', 'r9']);
    assert.deepEqual(ids(await two.page('committed', 0, 10)), ['r5']);
    assert.deepEqual({ ...(await two.count()) }, { prepared: 7, unknown: 1, parked: 1, committed: 1 });
  },

  'closing twice does no harm': async ({ one }) => {
    await one.close();
    await one.close();
  },
};
