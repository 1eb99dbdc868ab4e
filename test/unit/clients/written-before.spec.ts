import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, expect, test } from '@jest/globals';
import { sqliteDeadLetterArchive, sqliteIdempotencyStore } from 'nestjs-messaging';
import { ManualClock } from 'nestjs-messaging/testing';
import { loadSqlite } from '../../../lib/clients/sqlite.js';
import { openArchiveFile } from '../../../lib/dead-letter/sqlite-dead-letter-archive.js';

// Files of schema version 1, as the first version of the stores wrote them at this time.
const WRITTEN_AT = 1_000_000;
const folder = mkdtempSync(join(tmpdir(), 'written-before-'));
afterAll(() => rmSync(folder, { recursive: true }));

function copyOf(name: string): string {
  const file = join(folder, name);
  writeFileSync(file, gunzipSync(readFileSync(join(__dirname, 'written-before', `${name}.gz`))));
  return file;
}

async function schemaOf(file: string): Promise<unknown> {
  const database = (await loadSqlite('a test')).open(file);
  const version = database.prepare('PRAGMA user_version').get();
  const tables = database.prepare('SELECT * FROM sqlite_schema').all();
  database.close();
  return { version, tables };
}

test('an idempotency store goes on with a file that was written before, and leaves its schema as it is', async () => {
  const file = copyOf('handled.sqlite');
  const before = await schemaOf(file);
  const store = sqliteIdempotencyStore({ file }).create({ clock: new ManualClock(WRITTEN_AT) });
  await store.open!();
  expect(await store.claim('done', 'b', 1_000)).toEqual({ state: 'done' });
  expect(await store.claim('running', 'b', 1_000)).toEqual({ state: 'in-progress', leaseLeftMs: 1_000 });
  expect(await store.complete('running', 'a', 1_000)).toBe(true);
  await store.close();
  expect(await schemaOf(file)).toEqual(before);
});

test('an archive goes on with a file that was written before, and leaves its schema as it is', async () => {
  const file = copyOf('dead-letters.sqlite');
  const before = await schemaOf(file);
  const clock = new ManualClock(WRITTEN_AT);
  await (await openArchiveFile(file, clock)).close();
  const archive = sqliteDeadLetterArchive({ file }).create({ clock });
  await archive.open!();
  const entry = (id: string, seq: number, allowRetry: boolean) => ({
    seq,
    key: `key-${id}`,
    deadLetterQueue: 'orders:order.created:dlq',
    archivedAt: WRITTEN_AT,
    allowRetry,
    message: {
      id,
      route: 'order.created',
      body: Buffer.from([0, 255, ...Buffer.from(id)]),
      headers: {
        tenant: 7,
        raw: Buffer.from([1, 0, 2]),
        'messaging-reason': 'unrecoverable',
        'messaging-origin-time': 1_000,
      },
      properties: { contentType: 'application/octet-stream', priority: 3 },
    },
  });
  const [plain, allowed, claimed] = [entry('plain', 1, false), entry('allowed', 2, true), entry('claimed', 3, true)];
  expect(await archive.page({}, 0, 10)).toEqual([plain, allowed, claimed]);
  expect(await archive.page({ due: true }, 0, 10)).toEqual([allowed]);
  expect(await archive.claim(['key-allowed', 'key-claimed'], 'u', 1_000)).toEqual(['key-allowed']);
  expect(await archive.delete(['key-plain', 'key-claimed'])).toBe(1);
  await clock.advance(1_000);
  expect(await archive.delete(['key-claimed'])).toBe(1);
  await archive.add([plain]);
  expect((await archive.page({}, 0, 10)).map(({ seq }) => seq)).toEqual([2, 4]);
  await archive.close();
  expect(await schemaOf(file)).toEqual(before);
});
