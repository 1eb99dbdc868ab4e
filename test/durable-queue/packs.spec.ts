import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { loadSqlite, type SqliteDatabase } from '../../lib/clients/sqlite.js';
import { QueueFile } from '../../lib/durable-queue/queue-file.js';
import type { QueueEntry } from '../../lib/durable-queue/queue-entry.js';
import { Random } from '../fault/random.js';
import { TestQueue, entry, files, temporaryDirectory } from './support/queue.js';

const DEATH = { reason: 'r', errorClass: 'E', errorCode: 'C', errorMessage: 'm', time: 1 };
const names = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => `m${from + n}`);

/** Appended in one turn, they share a transaction. */
function together(queue: TestQueue, ids: readonly string[], more: Parameters<typeof entry>[1] = {}) {
  return Promise.all(ids.map((id) => queue.append(id, more)));
}

async function looking<T>(queue: TestQueue, look: (database: SqliteDatabase) => T): Promise<T> {
  const database = (await loadSqlite('the test')).open(join(queue.directory, files(queue.directory)[0]));
  try {
    return look(database);
  } finally {
    database.close();
  }
}

const count = (table: string) => (database: SqliteDatabase) =>
  Number(database.prepare(`SELECT count(*) AS count FROM ${table}`).get()!.count);

async function reopened(queue: TestQueue): Promise<TestQueue> {
  queue.queue.close();
  return TestQueue.open(queue.directory);
}

describe('entries that are appended together and wait for nothing', () => {
  test('are written in packs, and read in the order of all', async () => {
    const one = await TestQueue.open();
    await one.append('lone');
    await together(one, names(0, 100));
    await one.append('keyed', { lane: 'k' });
    await together(one, names(100, 150));
    await one.append('urgent', { priority: 5 });
    await one.append('later', { dueAt: 5 });
    expect(await looking(one, count('packs'))).toBe(4 + 2);
    expect(await looking(one, count('messages'))).toBe(4);
    const expected = ['urgent', 'lone', ...names(0, 100), 'keyed', ...names(100, 150), 'later'];
    expect(one.ids()).toEqual(expected);
    expect((await reopened(one)).ids()).toEqual(expected);
  });

  test('leave one by one, for good, and take their pack with them', async () => {
    let one = await TestQueue.open();
    const entries = await together(one, names(0, 40));
    for (const at of [0, 1, 7, 31, 32, 39]) one.queue.remove(entries[at]);
    one = await reopened(one);
    const left = names(0, 40).filter((_, at) => ![0, 1, 7, 31, 32, 39].includes(at));
    expect(one.ids()).toEqual(left);
    expect(one.queue.totals('')).toEqual({ depth: 34, bytes: 3_400, dead: 0 });
    for (const waiting of one.ready()) one.queue.remove(waiting);
    one.queue.commit();
    expect([await looking(one, count('packs')), await looking(one, count('pack_data'))]).toEqual([0, 0]);
    expect(one.queue.totals('').depth).toBe(0);
  });

  test('keep their place when they wait on after a failure, and can be given up', async () => {
    let one = await TestQueue.open();
    const entries = await together(one, names(0, 10));
    one.queue.update(entries[3], { dueAt: 0, attempts: 1, returns: 0 });
    one.queue.update(entries[5], { dueAt: 77, attempts: 1, returns: 0 });
    one.queue.bury(entries[6], DEATH);
    one = await reopened(one);
    expect(one.ids()).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm7', 'm8', 'm9', 'm5']);
    expect(one.ready().at(3)).toMatchObject({ attempts: 1, seq: entries[3].seq });
    expect(one.queue.find(entries[6].seq)).toMatchObject({ id: 'm6', reason: 'r' });
    expect(one.queue.find(entries[7].seq)).toBe('waiting');
    expect(one.queue.totals('')).toEqual({ depth: 9, bytes: 900, dead: 1 });
  });

  test('of several queues are kept apart', async () => {
    const one = await TestQueue.open();
    await Promise.all(names(0, 60).map((id, at) => one.append(id, { queue: at % 20 < 10 ? 'a' : 'b' })));
    expect(one.ids({}, 'a')).toEqual([...names(0, 10), ...names(20, 30), ...names(40, 50)]);
    expect(one.ids({}, 'b')).toEqual([...names(10, 20), ...names(30, 40), ...names(50, 60)]);
    expect(one.queue.oldestQueuedAt('b', 5_000)).toBe(1_000);
  });

  test('stay when the transaction in which they left is rolled back', async () => {
    const sqlite = await loadSqlite('the test');
    const file = QueueFile.open(sqlite, join(temporaryDirectory(), 'a.queue'));
    const entries = names(0, 8).map((id, at): QueueEntry => ({ ...entry(id), seq: at + 1 }));
    file.transaction(() => file.insert(entries));
    const failing = () =>
      file.transaction(() => {
        file.count();
        expect(file.delete(3)).toBe(true);
        throw new Error('the disk is full');
      });
    expect(failing).toThrow('the disk is full');
    expect(file.contains(3)).toBe(true);
    file.transaction(() => void file.delete(3));
    expect([file.contains(3), file.contains(4)]).toEqual([false, true]);
    file.close();
  });
});

describe('a pack that is not what was written', () => {
  test('costs the entry whose bytes are broken, and no other', async () => {
    let one = await TestQueue.open();
    await together(one, names(0, 10));
    one.queue.close();
    await breaking(one, (data) => (data[data.indexOf('body of m4') + 2] ^= 1));
    one = await TestQueue.open(one.directory);
    one.ids();
    expect(one.ids()).toEqual(names(0, 10).filter((id) => id !== 'm4'));
    expect([one.queue.quarantined, one.queue.totals('').depth]).toEqual([1, 9]);
    expect(await looking(one, count('damaged'))).toBe(1);
  });

  test('costs what is in it when its table is broken, is counted, and stops nobody else', async () => {
    let one = await TestQueue.open();
    await together(one, names(0, 10));
    await together(one, ['other', 'another', 'third', 'fourth']);
    one.queue.close();
    await breaking(one, (data) => (data[22] ^= 1));
    one = await TestQueue.open(one.directory);
    one.ids();
    expect(one.ids()).toEqual(['other', 'another', 'third', 'fourth']);
    expect([one.queue.quarantined, one.queue.totals('').depth, one.queue.totals('').bytes]).toEqual([10, 4, 400]);
  });

  async function breaking(queue: TestQueue, damage: (data: Buffer) => void): Promise<void> {
    await looking(queue, (database) => {
      const row = database.prepare('SELECT * FROM pack_data ORDER BY last LIMIT 1').get()!;
      const data = Buffer.from(row.data as Uint8Array);
      damage(data);
      database.prepare('UPDATE pack_data SET data = ? WHERE last = ?').run(data, row.last);
    });
  }
});

test.each([1, 2, 3, 4, 5, 6])(
  'whatever is appended, removed, failed, buried and reopened in between, what waits is what should (seed %i)',
  async (seed) => {
    const random = new Random(seed);
    const below = (n: number) => random.between(0, n - 1);
    let one = await TestQueue.open();
    let waiting: QueueEntry[] = [];
    let made = 0;
    let dead = 0;
    const expected = () =>
      waiting
        .filter(({ lane, seq }) => lane === undefined || !waiting.some((w) => w.lane === lane && w.seq < seq))
        .sort((a, b) => b.priority - a.priority || a.dueAt - b.dueAt || a.seq - b.seq)
        .map(({ id }) => id);
    for (let step = 0; step < 60; step++) {
      const what = below(10);
      if (what < 4) {
        const kinds = [{}, {}, {}, {}, { lane: 'k' }, { lane: 'l' }, { priority: 2 }, { dueAt: 9 }];
        const ids = names(made, (made += 1 + below(90)));
        // Mostly alike, so that packs come about.
        const odd = below(5);
        waiting.push(
          ...(await Promise.all(ids.map((id) => one.append(id, below(12) < odd ? kinds[below(kinds.length)] : {})))),
        );
      } else if (what < 8) {
        // In order, as a healthy broker does, or anyhow.
        const ordered = below(2) === 0;
        for (let n = Math.min(below(120), waiting.length); n > 0; n--) {
          const at = ordered ? 0 : below(waiting.length);
          const [leaving] = waiting.splice(at, 1);
          if (below(10) > 0) one.queue.remove(leaving);
          else if (below(2) > 0) waiting.push(one.queue.update(leaving, { dueAt: below(5), attempts: 1, returns: 0 }));
          else {
            one.queue.bury(leaving, DEATH);
            dead++;
          }
        }
        waiting.sort((a, b) => a.seq - b.seq);
      } else {
        one = await reopened(one);
        // Its places may be others: what was there keeps its order.
        const found = one.ready();
        const byId = new Map(waiting.map((w) => [w.id, w]));
        expect(found.map(({ id }) => id)).toEqual(expected());
        waiting = waiting.map((w) => found.find(({ id }) => id === w.id) ?? byId.get(w.id)!);
      }
      expect(one.ids()).toEqual(expected());
      const bytes = waiting.length * 100;
      expect(one.queue.totals('')).toEqual({ depth: waiting.length, bytes, dead });
    }
  },
);
