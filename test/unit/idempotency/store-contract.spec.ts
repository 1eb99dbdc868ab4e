import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { IdempotencyStore } from '../../../lib/idempotency/idempotency-store.js';
import { memoryIdempotencyStore } from '../../../lib/idempotency/memory-idempotency-store.js';
import { sqliteIdempotencyStore } from '../../../lib/idempotency/sqlite-idempotency-store.js';
import {
  idempotencyStoreContract,
  type IdempotencyStoreHarness,
} from '../../../lib/testing/idempotency-store-contract.js';

const memory: IdempotencyStoreHarness = {
  create: (clock) => {
    const store = memoryIdempotencyStore().create({ clock });
    return { open: () => store, dispose: () => undefined };
  },
};

const sqlite: IdempotencyStoreHarness = {
  create: (clock) => {
    const folder = mkdtempSync(join(tmpdir(), 'idempotency-'));
    const factory = sqliteIdempotencyStore({ file: join(folder, 'handled.sqlite') });
    return { open: () => factory.create({ clock }), dispose: () => rmSync(folder, { recursive: true }) };
  },
};

describe.each([
  ['memoryIdempotencyStore', memory],
  ['sqliteIdempotencyStore', sqlite],
])('%s', (_, harness) => {
  for (const { name, run } of idempotencyStoreContract(harness)) test(name, run);
});

/** A store with one mistake in it. */
type Mistake = (store: IdempotencyStore) => Partial<IdempotencyStore>;

const mistakes: Record<string, Mistake> = {
  'everybody acquires': () => ({ claim: async () => ({ state: 'acquired' }) }),
  'nobody acquires': () => ({ claim: async () => ({ state: 'done' }) }),
  'a lease has no end': (store) => ({ claim: (key, token) => store.claim(key, token, 1e12) }),
  'a window has no end': (store) => ({ complete: (key, token) => store.complete(key, token, 1e12) }),
  'done is only claimed': (store) => ({ complete: (key, token, ms) => store.renew(key, token, ms) }),
  'renewing does nothing': () => ({ renew: async () => true }),
  'releasing does nothing': () => ({ release: async () => true }),
  'completing frees the key': (store) => ({ complete: (key, token) => store.release(key, token) }),
  'the token is not looked at': (store) => {
    const tokens = new Map<string, string>();
    return {
      claim: async (key, token, ms) => {
        const claim = await store.claim(key, token, ms);
        if (claim.state === 'acquired') tokens.set(key, token);
        return claim;
      },
      release: (key, token) => store.release(key, tokens.get(key) ?? token),
      complete: (key, token, ms) => store.complete(key, tokens.get(key) ?? token, ms),
    };
  },
  'keys are compared without their case': (store) => ({
    claim: (key, token, ms) => store.claim(key.toLowerCase(), token, ms),
  }),
  'the lease that is left is not told': (store) => ({
    claim: async (key, token, ms) => {
      const claim = await store.claim(key, token, ms);
      return claim.state === 'in-progress' ? { ...claim, leaseLeftMs: 0 } : claim;
    },
  }),
  'a claim is looked up first and taken later': (store) => {
    const taken = new Set<string>();
    return {
      claim: async (key, token, ms) => {
        const free = !taken.has(key);
        await Promise.resolve();
        taken.add(key);
        const claim = await store.claim(key, token, ms);
        return free ? { state: 'acquired' } : claim;
      },
    };
  },
};

describe('the contract is broken by a store where', () => {
  test.each(Object.entries(mistakes))('%s', async (_, mistake) => {
    const broken: IdempotencyStoreHarness = {
      create: (clock) => {
        const store = memoryIdempotencyStore().create({ clock });
        const faulty = Object.assign(Object.create(store) as IdempotencyStore, mistake(store));
        return { open: () => faulty, dispose: () => undefined };
      },
    };
    const results = await Promise.allSettled(idempotencyStoreContract(broken).map(({ run }) => run()));
    expect(results.filter(({ status }) => status === 'rejected')).not.toEqual([]);
  });
});
