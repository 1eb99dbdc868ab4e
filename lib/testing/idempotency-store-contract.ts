import assert from 'node:assert/strict';
import type { IdempotencyStore } from '../idempotency/idempotency-store.js';
import {
  type SharedStoreBed,
  type SharedStoreCase,
  type SharedStoreChecks,
  type SharedStoreHarness,
  sharedStoreCases,
} from './shared-store-contract.js';

/** How the contract gets at a store. */
export type IdempotencyStoreHarness = SharedStoreHarness<IdempotencyStore>;

/** One store, as the processes that share it see it. */
export type IdempotencyStoreBed = SharedStoreBed<IdempotencyStore>;

export type IdempotencyStoreCase = SharedStoreCase;

const LEASE = 1_000;
const WINDOW = 60_000;

/**
 * What every idempotency store keeps, as cases for any test runner: each `run()` rejects with an AssertionError where the
 * store breaks it.
 */
export function idempotencyStoreContract(harness: IdempotencyStoreHarness): IdempotencyStoreCase[] {
  return sharedStoreCases(harness, cases);
}

const acquired = { state: 'acquired' };
const done = { state: 'done' };

const cases: SharedStoreChecks<IdempotencyStore> = {
  'a key that nobody has is acquired': async ({ one }) => {
    assert.deepEqual(await one.claim('key', 'a', LEASE), acquired);
  },

  'a claimed key is in progress for everybody else, with what is left of its lease': async ({ clock, one, two }) => {
    await one.claim('key', 'a', LEASE);
    await clock.advance(400);
    for (const store of [one, two])
      assert.deepEqual(await store.claim('key', 'b', LEASE), { state: 'in-progress', leaseLeftMs: 600 });
  },

  'a claim does not lengthen the lease of another': async ({ clock, one, two }) => {
    await one.claim('key', 'a', LEASE);
    await clock.advance(LEASE - 1);
    await two.claim('key', 'b', LEASE);
    await clock.advance(1);
    assert.deepEqual(await two.claim('key', 'b', LEASE), acquired);
  },

  'a completed key is done for everybody, until its window ends': async ({ clock, one, two }) => {
    await one.claim('key', 'a', LEASE);
    assert.equal(await one.complete('key', 'a', WINDOW), true);
    await clock.advance(WINDOW - 1);
    for (const store of [one, two]) assert.deepEqual(await store.claim('key', 'b', LEASE), done);
    await clock.advance(1);
    assert.deepEqual(await two.claim('key', 'b', LEASE), acquired);
  },

  'a claim whose lease is over is free': async ({ clock, one, two }) => {
    await one.claim('key', 'a', LEASE);
    await clock.advance(LEASE);
    assert.deepEqual(await two.claim('key', 'b', LEASE), acquired);
  },

  'a renewed lease lasts as much longer': async ({ clock, one, two }) => {
    await one.claim('key', 'a', LEASE);
    await clock.advance(900);
    assert.equal(await one.renew('key', 'a', LEASE), true);
    await clock.advance(900);
    assert.deepEqual(await two.claim('key', 'b', LEASE), { state: 'in-progress', leaseLeftMs: 100 });
  },

  'a released key is free': async ({ one, two }) => {
    await one.claim('key', 'a', LEASE);
    assert.equal(await one.release('key', 'a'), true);
    assert.deepEqual(await two.claim('key', 'b', LEASE), acquired);
  },

  'who lost a claim cannot renew, release or complete it': async ({ clock, one, two }) => {
    await one.claim('key', 'a', LEASE);
    await clock.advance(LEASE);
    await two.claim('key', 'b', LEASE);
    assert.equal(await one.renew('key', 'a', WINDOW), false);
    assert.equal(await one.release('key', 'a'), false);
    assert.equal(await one.complete('key', 'a', WINDOW), false);
    assert.deepEqual(await one.claim('key', 'c', LEASE), { state: 'in-progress', leaseLeftMs: LEASE });
  },

  'a claim whose lease is over can be completed as long as nobody has taken it': async ({ clock, one, two }) => {
    await one.claim('key', 'a', LEASE);
    await clock.advance(LEASE * 10);
    // Others make the store tidy up meanwhile.
    for (let n = 0; n < 5; n++) await two.release('other', (await two.claim('other', 'b', LEASE), 'b'));
    assert.equal(await one.complete('key', 'a', WINDOW), true);
    assert.deepEqual(await two.claim('key', 'b', LEASE), done);
  },

  'what is done is not undone': async ({ one, two }) => {
    await one.claim('key', 'a', LEASE);
    await one.complete('key', 'a', WINDOW);
    assert.equal(await one.release('key', 'a'), false);
    assert.equal(await one.renew('key', 'a', LEASE), false);
    assert.equal(await two.release('key', 'b'), false);
    assert.deepEqual(await two.claim('key', 'b', LEASE), done);
  },

  'of many that claim a key at once exactly one gets it': async ({ one, two }) => {
    for (let round = 0; round < 20; round++) {
      const claims = await Promise.all(
        Array.from({ length: 10 }, (_, n) => (n % 2 ? one : two).claim(`key-${round}`, `token-${n}`, LEASE)),
      );
      assert.deepEqual(
        claims.map(({ state }) => state).sort(),
        ['acquired', ...Array.from({ length: 9 }, () => 'in-progress')].sort(),
      );
    }
  },

  'keys are told apart, whatever text they are': async ({ one, two }) => {
    // No two of its parts are alike, so that nothing can make it shorter.
    const long = Array.from({ length: 1_000 }, (_, n) => Math.sin(n).toString(36)).join('');
    const keys = ['a', 'A', 'a ', 'ä', "a'--", 'a:b', '%', '日本', '😀', 'x'.repeat(2_000), long, `${long}.`];
    for (const [at, key] of keys.entries()) {
      assert.deepEqual(await one.claim(key, `token-${at}`, LEASE), acquired);
      if (at % 2) await one.complete(key, `token-${at}`, WINDOW);
    }
    for (const [at, key] of keys.entries())
      assert.equal((await two.claim(key, 'other', LEASE)).state, at % 2 ? 'done' : 'in-progress');
  },

  'what is over is cleared away without harm to the rest': async ({ clock, one, two }) => {
    await one.claim('running', 'a', WINDOW * 10);
    await one.claim('finished', 'a', LEASE);
    await one.complete('finished', 'a', WINDOW * 10);
    await Promise.all(Array.from({ length: 2_000 }, (_, n) => one.claim(`old-${n}`, 'a', LEASE)));
    for (let round = 0; round < 10; round++) {
      await clock.advance(WINDOW / 2);
      await two.claim(`new-${round}`, 'b', LEASE);
    }
    assert.equal((await two.claim('running', 'b', LEASE)).state, 'in-progress');
    assert.deepEqual(await two.claim('finished', 'b', LEASE), done);
    assert.deepEqual(await two.claim('old-7', 'b', LEASE), acquired);
  },

  'closing twice does no harm': async ({ one }) => {
    await one.close();
    await one.close();
  },
};
