import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { loadSqlite, type SqliteDatabase } from '../../../lib/clients/sqlite.js';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { systemClock } from '../../../lib/clock/clock.js';
import { memoryIdempotencyStore } from '../../../lib/idempotency/memory-idempotency-store.js';
import { sqliteIdempotencyStore } from '../../../lib/idempotency/sqlite-idempotency-store.js';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'idempotency-'));
  file = join(folder, 'handled.sqlite');
});
afterEach(() => rmSync(folder, { recursive: true }));

async function database(): Promise<SqliteDatabase> {
  return (await loadSqlite('a test')).open(file);
}

describe('sqliteIdempotencyStore', () => {
  test('keeps what is done over a restart, in a file that is its owner’s', async () => {
    const factory = sqliteIdempotencyStore({ file });
    const before = factory.create({ clock: systemClock });
    await before.claim('k', 'a', 1_000);
    await before.complete('k', 'a', 60_000);
    await before.close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const after = factory.create({ clock: systemClock });
    expect(await after.claim('k', 'b', 1_000)).toEqual({ state: 'done' });
    await after.close();
  });

  test('syncs every commit', async () => {
    const store = sqliteIdempotencyStore({ file }).create({ clock: systemClock }) as any;
    await store.open();
    const opened = await store.table.database.opening;
    expect(opened.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 });
    expect(opened.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    await store.close();
  });

  test('waits for another process that holds the lock, and fails with a typed error when that takes too long', async () => {
    const clock = new ManualClock();
    const store = sqliteIdempotencyStore({ file, busyTimeout: 100 }).create({ clock });
    await store.open!();
    const other = await database();
    other.exec('BEGIN IMMEDIATE');
    const waits = store.claim('k', 'a', 1_000);
    await clock.advance(50);
    other.exec('COMMIT');
    await clock.advance(50);
    expect(await waits).toEqual({ state: 'acquired' });
    other.exec('BEGIN IMMEDIATE');
    const fails = expect(store.claim('l', 'a', 1_000)).rejects.toMatchObject({
      code: 'IDEMPOTENCY_STORE',
      retryable: true,
    });
    await clock.advance(1_000);
    await fails;
    other.exec('COMMIT');
    other.close();
    expect(await store.claim('l', 'a', 1_000)).toEqual({ state: 'acquired' });
    await store.close();
    await expect(store.claim('m', 'a', 1_000)).rejects.toMatchObject({ code: 'IDEMPOTENCY_STORE' });
  });

  test('deletes what is over, some at a time', async () => {
    const clock = new ManualClock();
    const store = sqliteIdempotencyStore({ file }).create({ clock });
    await Promise.all(Array.from({ length: 1_200 }, (_, n) => store.claim(`old-${n}`, 'a', 1_000)));
    const reader = await database();
    const rows = (): unknown => reader.prepare('SELECT count(*) AS rows FROM handled').get()!.rows;
    const counts: unknown[] = [];
    await clock.advance(5_000);
    for (let n = 0; n < 3; n++) {
      await store.claim(`new-${n}`, 'a', 60_000);
      counts.push(rows());
    }
    expect(counts).toEqual([701, 202, 3]);
    reader.close();
    await store.close();
  });

  test.each<[string, () => void, string]>([
    ['a folder that is not there', () => void (file = join(folder, 'none', 'f.sqlite')), 'Its folder has to exist'],
    ['a file that is no database', () => writeFileSync(file, 'x'.repeat(5_000)), 'not a database'],
  ])('says at boot what is wrong: %s', async (_, prepare, text) => {
    prepare();
    const store = sqliteIdempotencyStore({ file }).create({ clock: systemClock });
    await expect(store.open!()).rejects.toMatchObject({
      code: 'IDEMPOTENCY_STORE',
      message: expect.stringContaining(text),
    });
    await store.close();
  });

  test('leaves a database of something else alone', async () => {
    const other = await database();
    other.exec('CREATE TABLE theirs (x)');
    other.close();
    const before = readFileSync(file);
    const store = sqliteIdempotencyStore({ file }).create({ clock: systemClock });
    await expect(store.open!()).rejects.toThrow('it holds something else');
    await store.close();
    expect((await database()).prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'theirs' }]);
    expect(before.length).toBeGreaterThan(0);
  });

  test.each([
    [{}, 'sqliteIdempotencyStore.file'],
    [{ file: '' }, 'sqliteIdempotencyStore.file'],
    [{ file: 'f', busyTimeout: 0 }, 'sqliteIdempotencyStore.busyTimeout'],
    [{ file: 'f', path: 'g' }, 'sqliteIdempotencyStore.path'],
  ])('refuses %p', (options, option) => {
    expect(() => sqliteIdempotencyStore(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option }),
    );
  });
});

test('memoryIdempotencyStore forgets the oldest finished beyond its limit, never what is being handled', async () => {
  const store = memoryIdempotencyStore({ maxKeys: 3 }).create({ clock: new ManualClock() });
  await store.claim('running', 'a', 1_000);
  for (const key of ['x', 'y', 'z']) {
    await store.claim(key, 'a', 1_000);
    await store.complete(key, 'a', 1_000);
  }
  const states: string[] = [];
  for (const key of ['running', 'z', 'y']) states.push((await store.claim(key, 'b', 1_000)).state);
  expect(states).toEqual(['in-progress', 'done', 'done']);
  expect((await store.claim('x', 'b', 1_000)).state).toBe('acquired');
  expect(() => memoryIdempotencyStore({ maxKeys: 0 })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
});
