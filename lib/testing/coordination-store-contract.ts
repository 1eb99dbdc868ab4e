import assert from 'node:assert/strict';
import type { Change, CoordinationStore } from '../coordination/coordination-store.js';
import {
  type SharedStoreBed,
  type SharedStoreCase,
  type SharedStoreChecks,
  type SharedStoreHarness,
  sharedStoreCases,
} from './shared-store-contract.js';

/** How the contract gets at a store. */
export type CoordinationStoreHarness = SharedStoreHarness<CoordinationStore>;

/** One store, as the processes that share it see it. */
export type CoordinationStoreBed = SharedStoreBed<CoordinationStore>;

export type CoordinationStoreCase = SharedStoreCase;

const KEEP = 60_000;

/**
 * What every coordination store keeps, as cases for any test runner: each `run()` rejects with an AssertionError where the
 * store breaks it.
 */
export function coordinationStoreContract(harness: CoordinationStoreHarness): CoordinationStoreCase[] {
  return sharedStoreCases(harness, cases);
}

const put =
  (state: string, keepMs = KEEP): Change<string | undefined> =>
  (before) => ({ result: before, state, keepMs });
const look: Change<string | undefined> = (state) => ({ result: state });
const remove: Change<string | undefined> = (before) => ({ result: before, state: null });
const increase: Change<number> = (state = '0') => ({
  result: Number(state) + 1,
  state: `${Number(state) + 1}`,
  keepMs: KEEP,
});

const cases: SharedStoreChecks<CoordinationStore> = {
  'there is no entry until one is written, and a look writes none': async ({ one, two }) => {
    for (const store of [one, two, one]) assert.equal(await store.change('key', look), undefined);
  },

  'what one has written the other finds, and its own result is told to each': async ({ one, two }) => {
    assert.equal(await one.change('key', put('first')), undefined);
    assert.equal(await two.change('key', put('second')), 'first');
    assert.equal(await one.change('key', look), 'second');
  },

  'an entry is over when its time is, for everybody, and not before': async ({ clock, one, two }) => {
    await one.change('key', put('state'));
    await clock.advance(KEEP - 1);
    for (const store of [one, two]) assert.equal(await store.change('key', look), 'state');
    await clock.advance(1);
    for (const store of [one, two]) assert.equal(await store.change('key', look), undefined);
    assert.equal(await two.change('key', put('again')), undefined);
    assert.equal(await one.change('key', look), 'again');
  },

  'what is written again lasts from then on, and what is looked at no longer': async ({ clock, one, two }) => {
    await one.change('written', put('state'));
    await one.change('seen', put('state'));
    await clock.advance(KEEP - 1);
    await two.change('written', put('state'));
    await two.change('seen', look);
    await clock.advance(KEEP - 1);
    assert.equal(await one.change('written', look), 'state');
    assert.equal(await one.change('seen', look), undefined);
  },

  'an entry that is deleted is gone, whoever wrote it': async ({ one, two }) => {
    await one.change('key', put('state'));
    assert.equal(await two.change('key', remove), 'state');
    assert.equal(await one.change('key', look), undefined);
    assert.equal(await one.change('key', remove), undefined);
  },

  'a change is told the time, the same to all': async ({ clock, one, two }) => {
    const time: Change<number> = (_, now) => ({ result: now });
    assert.equal(await one.change('key', time), clock.now());
    await clock.advance(1_500);
    assert.equal(await two.change('key', time), clock.now());
  },

  'of many that change an entry at once each finds what the one before has made': async ({ one, two }) => {
    for (let round = 0; round < 10; round++) {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 2 ? one : two).change(`key-${round % 2}`, increase)),
      );
      const before = Math.floor(round / 2) * 20;
      assert.deepEqual(
        results.sort((a, b) => a - b),
        Array.from({ length: 20 }, (_, n) => before + n + 1),
      );
    }
  },

  'of many that claim an entry at once one gets it': async ({ one, two }) => {
    const claim =
      (name: string): Change<boolean> =>
      (state) =>
        state === undefined ? { result: true, state: name, keepMs: KEEP } : { result: false };
    for (let round = 0; round < 10; round++) {
      const claims = await Promise.all(
        Array.from({ length: 10 }, (_, n) => (n % 2 ? one : two).change(`key-${round}`, claim(`${n}`))),
      );
      assert.deepEqual(
        claims.filter((claimed) => claimed),
        [true],
      );
    }
  },

  'one that is written and deleted and written at once is as the last one left it': async ({ one }) => {
    const results = await Promise.all([
      one.change('key', put('a')),
      one.change('key', remove),
      one.change('key', put('b')),
      one.change('key', look),
    ]);
    assert.deepEqual(results, [undefined, 'a', undefined, 'b']);
    assert.equal(await one.change('key', look), 'b');
  },

  'a change that throws rejects with that, has no effect, and disturbs no other': async ({ one, two }) => {
    const thrown = new RangeError('no');
    await one.change('key', put('state'));
    const [failed, own, other] = await Promise.allSettled([
      one.change('key', () => {
        throw thrown;
      }),
      one.change('key', put('own')),
      one.change('another', put('other')),
    ]);
    assert.deepEqual(failed, { status: 'rejected', reason: thrown });
    assert.deepEqual([own.status, other.status], ['fulfilled', 'fulfilled']);
    assert.deepEqual([await two.change('key', look), await two.change('another', look)], ['own', 'other']);
  },

  'keys and states are told apart, whatever text they are': async ({ one, two }) => {
    // No two of its parts are alike, so that nothing can make it shorter.
    const long = Array.from({ length: 1_000 }, (_, n) => Math.sin(n).toString(36)).join('');
    const texts = ['a', 'A', 'a ', 'ä', "a'--", 'a:b', 'a.b', '*', '>', '%', '$1', '日本', '😀', long, `${long}.`];
    for (const text of texts) await one.change(text, put(text));
    for (const text of texts) assert.equal(await two.change(text, look), text);
  },

  'an empty state is a state': async ({ one, two }) => {
    await one.change('key', put(''));
    assert.equal(await two.change('key', look), '');
    assert.equal(await two.change('key', put('more')), '');
  },

  'what is over is cleared away without harm to the rest': async ({ clock, one, two }) => {
    await one.change('kept', put('state', KEEP * 100));
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => one.change(`old-${n}`, put('state'))));
    for (let round = 0; round < 10; round++) {
      await clock.advance(KEEP / 2);
      await two.change(`new-${round}`, put('state', KEEP * 100));
    }
    assert.equal(await two.change('kept', look), 'state');
    assert.equal(await two.change('new-0', look), 'state');
    assert.equal(await two.change('old-7', look), undefined);
  },

  'closing twice does no harm, and what was asked before is done': async ({ one, two }) => {
    const last = one.change('key', put('state'));
    await one.close();
    await one.close();
    await last;
    // A store of one process is the same object for both.
    if (one !== two) assert.equal(await two.change('key', look), 'state');
  },
};
