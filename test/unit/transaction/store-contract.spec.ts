import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { ManualClock, transactionRecordsContract, type TransactionRecordsHarness } from 'nestjs-messaging/testing';
import { memoryTransactionRecords } from '../../../lib/transaction/memory-transaction-records.js';
import { sqliteTransactionRecords } from '../../../lib/transaction/sqlite-transaction-records.js';
import type { TransactionRecordStore } from '../../../lib/transaction/transaction-record.js';

const folder = mkdtempSync(join(tmpdir(), 'transactions-'));
let number = 0;
const newFile = (): string => join(folder, `${++number}.sqlite`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const scope = 'shop:default:fake';

const memory: TransactionRecordsHarness = {
  create: (clock) => {
    const store = memoryTransactionRecords().create({ clock, scope });
    return { open: () => store, dispose: () => undefined };
  },
};

const sqlite: TransactionRecordsHarness = {
  create: (clock) => {
    const factory = sqliteTransactionRecords({ file: newFile() });
    return { open: () => factory.create({ clock, scope }), dispose: () => undefined };
  },
};

describe.each([
  ['memoryTransactionRecords', memory],
  ['sqliteTransactionRecords', sqlite],
])('%s', (_, harness) => {
  for (const { name, run } of transactionRecordsContract(harness)) test(name, run);
});

describe('sqliteTransactionRecords', () => {
  const record = { route: 'order.created', timeoutMs: 1, preparedAt: 1, meta: '{}', body: Buffer.from('a') };

  test('is for its owner only, and survives being opened again', async () => {
    const file = newFile();
    const factory = sqliteTransactionRecords({ file });
    const clock = new ManualClock();
    const before = factory.create({ clock, scope });
    await before.prepare({ ...record, id: '1' }, 'a');
    await before.close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const after = factory.create({ clock, scope });
    expect(await after.find('1')).toMatchObject({ id: '1', owner: 'a', state: 'prepared' });
    await after.close();
  });

  test('leaves the records and owners of another scope alone', async () => {
    const factory = sqliteTransactionRecords({ file: newFile() });
    const clock = new ManualClock();
    const shop = factory.create({ clock, scope });
    const bank = factory.create({ clock, scope: 'bank:default:fake' });
    await shop.prepare({ ...record, id: '1' }, 'a');
    await bank.prepare({ ...record, id: '1' }, 'b');
    await shop.leave('a');
    expect(await bank.adopt('b', ['order.created'], 10)).toEqual([]);
    expect(await bank.owners()).toEqual([{ owner: 'b', beats: 1 }]);
    expect(await bank.remove('1', 'b')).toBe(true);
    expect(await shop.count()).toEqual({ prepared: 1, unknown: 0, parked: 0, committed: 0 });
    await Promise.all([shop.close(), bank.close()]);
  });

  test('that cannot be used says why', async () => {
    const store = sqliteTransactionRecords({ file: join(folder, 'missing', 'file') }).create({
      clock: new ManualClock(),
      scope,
    });
    await expect(store.open!()).rejects.toMatchObject({
      code: 'TRANSACTION_RECORD',
      message: expect.stringContaining('cannot be used as the store of transaction records'),
    });
    expect(() => sqliteTransactionRecords({ file: '' })).toThrow('sqliteTransactionRecords.file');
    expect(() => sqliteTransactionRecords({ file: 'a', files: 1 } as never)).toThrow('files');
  });
});

/** A store with one mistake in it. */
type Mistake = (store: TransactionRecordStore) => Partial<TransactionRecordStore>;

const mistakes: Record<string, Mistake> = {
  'a commit is only noted where the record still is': (store) => ({
    commit: async (record, owner) => void ((await store.find(record.id)) && (await store.commit(record, owner))),
  }),
  'a commit counts only for the owner': (store) => ({
    commit: async (record, owner) => {
      const found = await store.find(record.id);
      if (!found || found.owner === owner) await store.commit(record, owner);
    },
  }),
  'everybody may remove': (store) => ({
    remove: async (id) => store.remove(id, (await store.find(id))?.owner ?? ''),
  }),
  'everybody may note': (store) => ({
    note: async (id, _, note) => store.note(id, (await store.find(id))?.owner ?? '', note),
  }),
  'a beat is not looked at': (store) => ({
    bury: async ({ owner }) => {
      const now = (await store.owners()).find((one) => one.owner === owner);
      return now ? store.bury(now) : false;
    },
  }),
  'preparing is no beat': (store) => {
    let beats = 0;
    return {
      owners: async () => (await store.owners()).map((one) => ({ ...one, beats: Math.min(one.beats, ++beats && 1) })),
    };
  },
  'the living are robbed': (store) => ({
    adopt: async (owner, routes, limit) => {
      for (const one of await store.owners()) await store.bury(one);
      return store.adopt(owner, routes, limit);
    },
  }),
  'parked ones are adopted': (store) => ({
    adopt: async (owner, routes, limit) => {
      for (const { id } of await store.page('parked', 0, 10)) await store.resolve(id, 'nobody', 'unknown');
      return store.adopt(owner, routes, limit);
    },
  }),
  'every route is adopted': (store) => ({
    adopt: (owner, _, limit) => store.adopt(owner, ['order.created', "order.paid'", 'order.shipped'], limit),
  }),
  'whatever is not parked can be resolved': () => ({ resolve: async () => true }),
  'what was noted is forgotten': () => ({ note: async () => true }),
  'leaving does nothing': () => ({ leave: async () => undefined }),
  'bodies are texts': (store) => ({
    find: async (id) => {
      const found = await store.find(id);
      return found && { ...found, body: Buffer.from(found.body.toString()) };
    },
  }),
};

describe('the contract is broken by a store where', () => {
  test.each(Object.entries(mistakes))('%s', async (_, mistake) => {
    const broken: TransactionRecordsHarness = {
      create: (clock) => {
        const store = memoryTransactionRecords().create({ clock, scope });
        const faulty = Object.assign(Object.create(store) as TransactionRecordStore, mistake(store));
        return { open: () => faulty, dispose: () => undefined };
      },
    };
    const results = await Promise.allSettled(transactionRecordsContract(broken).map(({ run }) => run()));
    expect(results.filter(({ status }) => status === 'rejected')).not.toEqual([]);
  });
});
