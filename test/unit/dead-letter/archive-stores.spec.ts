import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { memoryDeadLetterArchive, sqliteDeadLetterArchive, type DeadLetterArchive } from 'nestjs-messaging';
import { deadLetterArchiveContract, ManualClock } from 'nestjs-messaging/testing';
import { loadSqlite } from '../../../lib/clients/sqlite.js';
import { archiveEntry } from '../../../lib/dead-letter/dead-letter-collector.js';
import { letter } from '../support/dead-letters.js';

const folder = mkdtempSync(join(tmpdir(), 'archive-'));
let number = 0;
const newFile = (): string => join(folder, `${++number}.sqlite`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the archive in memory', () => {
  const cases = deadLetterArchiveContract({
    create(clock) {
      const archive = memoryDeadLetterArchive().create({ clock });
      return { open: () => archive, dispose: () => undefined };
    },
  });
  for (const { name, run } of cases) test(name, run);
});

describe('the archive in SQLite', () => {
  const cases = deadLetterArchiveContract({
    create(clock) {
      const factory = sqliteDeadLetterArchive({ file: newFile() });
      return { open: () => factory.create({ clock }), dispose: () => undefined };
    },
  });
  for (const { name, run } of cases) test(name, run);

  const clock = new ManualClock();
  const entries = ['a', 'b'].map((id) => archiveEntry('orders:order.created:dlq', letter(id)));

  test('is for its owner only, survives being opened again, and hears who sets allow_retry with SQL', async () => {
    const file = newFile();
    const first = sqliteDeadLetterArchive({ file }).create({ clock });
    await first.add(entries);
    await first.close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const database = (await loadSqlite('a test')).open(file);
    database.exec("UPDATE dead_letters SET allow_retry = 1 WHERE id = 'b'");
    database.close();
    const second = sqliteDeadLetterArchive({ file }).create({ clock });
    expect((await second.page({ due: true }, 0, 10)).map(({ message }) => message)).toEqual([letter('b')]);
    await second.close();
  });

  test('that cannot be used says why and what to do', async () => {
    const foreign = newFile();
    const database = (await loadSqlite('a test')).open(foreign);
    database.exec('CREATE TABLE other (a)');
    database.close();
    const damaged = newFile();
    writeFileSync(damaged, 'not a database, but long enough to be read as if it were one'.repeat(50));
    for (const file of [foreign, damaged, join(folder, 'missing', 'file')]) {
      const archive = sqliteDeadLetterArchive({ file }).create({ clock });
      const refusal = { code: 'DEAD_LETTER_ARCHIVE', message: expect.stringContaining('has to exist and be writable') };
      await expect(archive.open!()).rejects.toMatchObject(refusal);
      await archive.close();
    }
  });

  test('waits for a lock of another process, and gives up after its busyTimeout', async () => {
    const file = newFile();
    const archive = sqliteDeadLetterArchive({ file, busyTimeout: 1 }).create({ clock });
    await archive.add([entries[0]]);
    const other = (await loadSqlite('a test')).open(file);
    other.exec('BEGIN IMMEDIATE');
    const adding = archive.add([entries[1]]);
    await clock.advance(50);
    await expect(adding).rejects.toMatchObject({ code: 'DEAD_LETTER_ARCHIVE' });
    other.exec('ROLLBACK');
    other.close();
    await archive.add([entries[1]]);
    expect(await archive.count()).toBe(2);
    await archive.close();
    await expect(archive.count()).rejects.toMatchObject({ code: 'DEAD_LETTER_ARCHIVE' });
  });

  test.each([[{}], [{ file: '' }], [{ file: 'a', busyTimeout: 0 }], [{ file: 'a', colour: 'red' }]])(
    'refuses the options %j',
    (options) => expect(() => sqliteDeadLetterArchive(options as never)).toThrow(/allowed: /),
  );
});

describe('the contract of archives notices', () => {
  const clean = memoryDeadLetterArchive();
  const planted: Record<string, (archive: DeadLetterArchive) => Partial<DeadLetterArchive>> = {
    'one that claims without a lease': (archive) => ({ claim: (keys, token) => archive.claim(keys, token, 0) }),
    'one that claims for everybody': () => ({ claim: async (keys) => [...keys] }),
    'one that deletes for anybody': (archive) => ({ delete: (keys) => archive.delete(keys) }),
    'one that puts off nothing': (archive) => ({ release: (keys, token) => archive.release(keys, token, 0) }),
    'one that forgets the flag of what is released': (archive) => ({
      release: async (keys, token, waitMs) => {
        await archive.allowRetry(keys, false);
        return archive.release(keys, token, waitMs);
      },
    }),
    'one that takes an entry twice': (archive) => ({
      add: (entries) => archive.add(entries.map((entry) => ({ ...entry, key: `${entry.key}-${++number}` }))),
    }),
    'one that keeps bodies as text': (archive) => ({
      add: (entries) =>
        archive.add(
          entries.map((entry) => ({
            ...entry,
            message: { ...entry.message, body: Buffer.from(entry.message.body.toString()) },
          })),
        ),
    }),
    'one that ignores the query': (archive) => ({ page: (_, after, limit) => archive.page({}, after, limit) }),
  };
  test.each(Object.entries(planted))('%s', async (_, plant) => {
    const failed: string[] = [];
    const cases = deadLetterArchiveContract({
      create(clock) {
        const archive = clean.create({ clock });
        const bent = new Proxy(archive, {
          get: (target, name) => plant(target)[name as never] ?? Reflect.get(target, name),
        });
        return { open: () => bent, dispose: () => undefined };
      },
    });
    for (const { name, run } of cases) await run().catch(() => failed.push(name));
    expect(failed.length).toBeGreaterThan(0);
  });
});
