import {
  appendFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { loadSqlite } from '../../lib/clients/sqlite.js';
import { QueueDirectory } from '../../lib/durable-queue/queue-directory.js';
import { QueueFile } from '../../lib/durable-queue/queue-file.js';
import { TestQueue, files, temporaryDirectory } from './support/queue.js';

afterEach(() => void jest.restoreAllMocks());

/** A file with these entries, whose process has ended; everything is in the main file. */
async function prepared(count: number, lane?: string): Promise<{ directory: string; path: string }> {
  const one = await TestQueue.open();
  await Promise.all(
    Array.from({ length: count }, (_, n) => one.append(`m${n}`, { lane, body: Buffer.alloc(900, `<${n}>`) })),
  );
  one.queue.close();
  const { directory } = one;
  return { directory, path: join(directory, files(directory)[0]) };
}

async function change(path: string, sql: string): Promise<void> {
  const database = (await loadSqlite('the test')).open(path);
  database.exec(sql);
  database.close();
}

async function settled(queue: TestQueue): Promise<TestQueue> {
  await queue.clock.advance(1_000);
  for (let n = 0; n < 40; n++) await queue.turn();
  return queue;
}

function quarantined(directory: string): string[] {
  const path = join(directory, 'quarantine');
  return existsSync(path) ? readdirSync(path).filter((name) => name.endsWith('.queue')) : [];
}

describe('a row that is not what was written', () => {
  test('is set apart, told once, and never blocks the rest, nor its lane', async () => {
    const { directory, path } = await prepared(3, 'k');
    await change(path, `UPDATE messages SET body = x'00' WHERE id = 'm0'`);
    const one = await settled(await TestQueue.open(directory));
    expect(one.ids()).toEqual(['m1']);
    expect(one.queue.quarantined).toBe(1);
    expect(one.queue.totals('').depth).toBe(2);
    expect(one.failures).toHaveLength(1);
    expect(one.lines.filter((line) => line.startsWith('error'))).toHaveLength(1);
    expect(one.ids()).toEqual(['m1']);
  });

  test.each(['meta', 'lane', 'priority', 'expires_at', 'id'])('is noticed whatever changed (%s)', async (column) => {
    const { directory, path } = await prepared(2, 'k');
    await change(path, `UPDATE messages SET ${column} = 7 WHERE id = 'm0'`);
    const one = await TestQueue.open(directory);
    one.ids();
    expect(one.ids()).toEqual(['m1']);
    expect(one.queue.quarantined).toBe(1);
  });

  test('in the file of a dead process is kept there, in quarantine, and the rest adopted', async () => {
    const living = await TestQueue.open();
    const before = files(living.directory);
    const gone = await TestQueue.open(living.directory);
    await Promise.all(['a', 'b', 'c'].map((id) => gone.append(id)));
    const [own] = files(gone.directory).filter((name) => !before.includes(name));
    const path = join(gone.directory, own);
    gone.kill();
    await change(path, `UPDATE messages SET body = x'00' WHERE id = 'b'`);
    await settled(living);
    expect(living.ids()).toEqual(['a', 'c']);
    expect(quarantined(living.directory)).toHaveLength(1);
    expect(living.queue.quarantined).toBeGreaterThan(0);
  });
});

describe('a file that cannot be used is moved into quarantine with a line in the log, and a new one takes its place', () => {
  test.each([
    ['not a database', (path: string) => writeFileSync(path, 'this is not a database '.repeat(500))],
    ['its header is gone', (path: string) => overwrite(path, 0, Buffer.alloc(100, 0xff))],
  ])('%s', async (_, damage) => {
    const { directory, path } = await prepared(3);
    damage(path);
    const one = await settled(await TestQueue.open(directory));
    expect(quarantined(directory)).toHaveLength(1);
    expect(one.lines.filter((line) => line.startsWith('error') && line.includes('quarantine'))).toHaveLength(1);
    await one.append('new');
    expect(one.ids()).toEqual(['new']);
    expect(one.queue.quarantined).toBe(1);
  });

  test.each([
    ['of another application', 'PRAGMA application_id = 5'],
    ['of a later version', 'PRAGMA user_version = 99'],
  ])('%s, and it is not changed', async (_, sql) => {
    const { directory, path } = await prepared(3);
    await change(path, sql);
    const before = readFileSync(path);
    const one = await settled(await TestQueue.open(directory));
    const [name] = quarantined(directory);
    expect(readFileSync(join(directory, 'quarantine', name))).toEqual(before);
    expect(one.ids()).toEqual([]);
  });
});

describe('a file with broken pages', () => {
  test('that was truncated: what is readable goes on, the rest is in quarantine', async () => {
    const { directory, path } = await prepared(1_000);
    truncateSync(path, Math.floor(statSync(path).size / 2));
    const one = await settled(await TestQueue.open(directory));
    const found = one.ids();
    expect(found.length).toBeGreaterThan(200);
    expect(new Set(found).size).toBe(found.length);
    expect(quarantined(directory)).toHaveLength(1);
    await one.append('new');
    expect(one.ids()).toContain('new');
  });

  test('of a dead process stays where it is until what is readable of it can be written, and is read once', async () => {
    const living = await TestQueue.open();
    const gone = await TestQueue.open(living.directory);
    await Promise.all(
      Array.from({ length: 400 }, (_, n) => gone.append(`m${n}`, { body: Buffer.alloc(900, `<${n}>`) })),
    );
    const name = gone.name;
    gone.kill();
    const path = join(gone.directory, name);
    for (let page = 40; page < 60; page++) overwrite(path, page * 4_096, Buffer.alloc(4_096, 0xa5));
    // Nothing of it was adopted when its damage is found.
    const entries = jest.spyOn(QueueFile.prototype, 'entries').mockImplementation(() => {
      throw new Error('database disk image is malformed');
    });
    const insert = jest.spyOn(QueueFile.prototype, 'insert').mockImplementationOnce(() => {
      throw new Error('no room');
    });
    await settled(living);
    expect(insert).toHaveBeenCalledTimes(1);
    expect([files(gone.directory).includes(name), quarantined(gone.directory), living.ids()]).toEqual([true, [], []]);
    jest.spyOn(QueueDirectory.prototype, 'quarantine').mockImplementationOnce(() => {
      throw new Error('it cannot be moved');
    });
    await settled(living);
    expect([files(gone.directory).includes(name), quarantined(gone.directory)]).toEqual([true, []]);
    entries.mockRestore();
    await settled(living);
    const found = living.ids();
    expect(found.length).toBeGreaterThan(200);
    expect(new Set(found).size).toBe(found.length);
    expect(living.queue.totals('').depth).toBe(found.length);
    expect(quarantined(gone.directory)).toHaveLength(1);
    await living.append('new');
    expect(living.ids()).toContain('new');
  });

  test('torn in the middle while it is in use: what is readable goes on at its place', async () => {
    const { directory, path } = await prepared(400);
    // Leaves of the table, not the root.
    for (let page = 40; page < 60; page++) overwrite(path, page * 4_096, Buffer.alloc(4_096, 0xa5));
    const one = await settled(await TestQueue.open(directory));
    one.ids();
    const found = one.ids();

    expect(found.length).toBeGreaterThan(200);
    expect(found.length).toBeLessThan(400);
    expect(found).toEqual([...found].sort((a, b) => Number(a.slice(1)) - Number(b.slice(1))));
    expect(one.queue.totals('').depth).toBe(found.length);
    expect(quarantined(directory)).toHaveLength(1);
    expect(one.failures.length).toBeGreaterThan(0);
    await one.append('new');
    expect(one.ids()).toContain('new');
  });

  test('a torn end of the log, as a power cut leaves it, costs nothing that was accepted', async () => {
    const one = await TestQueue.open();
    await Promise.all(['a', 'b'].map((id) => one.append(id)));
    const name = files(one.directory)[0];
    one.kill();
    const wal = join(one.directory, `${name}-wal`);
    if (existsSync(wal)) appendFileSync(wal, Buffer.alloc(3_000, 0x5a));
    const two = await settled(await TestQueue.open(one.directory));
    expect(two.ids()).toEqual(['a', 'b']);
    expect(quarantined(one.directory)).toEqual([]);
  });
});

test('foreign files in the folder are left alone', async () => {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'README'), 'mine');
  const one = await settled(await TestQueue.open(directory));
  one.queue.close();
  expect(readdirSync(directory)).toEqual(['README']);
});

function overwrite(path: string, at: number, bytes: Buffer): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}
