import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { loadSqlite } from '../../lib/clients/sqlite.js';
import { QueueFile } from '../../lib/durable-queue/queue-file.js';
import { TestQueue, entry, files } from './support/queue.js';

/** Lets the adoption go as far as it can. */
async function settle(queue: TestQueue, ms = 0): Promise<void> {
  await queue.clock.advance(ms);
  for (let n = 0; n < 40; n++) await queue.turn();
}

async function dead(
  directory: string,
  ids: readonly string[],
  more: Parameters<typeof entry>[1] = {},
): Promise<TestQueue> {
  const one = await TestQueue.open(directory);
  await Promise.all(ids.map((id) => one.append(id, more)));
  one.kill();
  return one;
}

describe('files of processes that died', () => {
  test('one becomes the own file, the others are moved into it, with their order, times and attempts', async () => {
    const living = await TestQueue.open();
    const { directory } = living;
    const [first, second] = [await TestQueue.open(directory), await TestQueue.open(directory)];
    await Promise.all(
      ['a', 'b', 'c'].map((id) => first.append(id, { lane: 'k', attempts: 2, expiresAt: 9, dueAt: 0 })),
    );
    second.queue.bury(await second.append('dead'), {
      reason: 'r',
      errorClass: 'E',
      errorCode: 'C',
      errorMessage: 'm',
      time: 1,
    });
    await second.append('d', { dueAt: 77, priority: 3 });
    first.kill();
    second.kill();
    await settle(living, 1_000);
    expect(living.queue.totals('')).toEqual({ depth: 4, bytes: 400, dead: 1 });
    expect(living.adoptedCount).toBe(4);
    const [head] = living.ready().filter(({ lane }) => lane === 'k');
    expect(head).toMatchObject({ id: 'a', attempts: 2, expiresAt: 9 });
    expect(living.queue.remove(head)).toMatchObject({ id: 'b' });
    expect(living.queue.deadAfter('', 0, 9)).toMatchObject([{ id: 'dead', reason: 'r' }]);
    expect(files(directory)).toHaveLength(1);
    expect(readdirSync(directory).filter((name) => name.endsWith('.owner'))).toHaveLength(1);
  });

  test('many batches arrive complete and in order', async () => {
    const living = await TestQueue.open();
    const ids = Array.from({ length: 1_000 }, (_, n) => `m${n}`);
    const other = await TestQueue.open(living.directory);
    await Promise.all(ids.map((id) => other.append(id)));
    other.kill();
    await settle(living, 1_000);
    expect(living.ids()).toEqual(ids);
  });

  test('those of living ones, in this process or another, are left alone', async () => {
    const [one, two] = [await TestQueue.open(), new TestQueue()];
    const other = await TestQueue.open(one.directory);
    await other.append('a');
    await settle(one, 5_000);
    expect([one.ids(), other.ids()]).toEqual([[], ['a']]);
    expect(two.adoptedCount).toBe(0);
  });

  test('two who look at the same time share the work and take nothing twice', async () => {
    const [one, two] = [await TestQueue.open(), undefined];
    const other = await TestQueue.open(one.directory);
    for (let n = 0; n < 4; n++) {
      const gone = await TestQueue.open(one.directory);
      await Promise.all(Array.from({ length: 200 }, (_, m) => gone.append(`${n}-${m}`)));
      gone.kill();
    }
    expect(two).toBeUndefined();
    await Promise.all([settle(one, 1_000), settle(other, 1_000)]);
    const ids = [...one.ids(), ...other.ids()];
    expect(ids).toHaveLength(800);
    expect(new Set(ids).size).toBe(800);
  });

  test('a crash between the writing here and the deletion there takes nothing twice', async () => {
    const gone = await TestQueue.open();
    await Promise.all(['a', 'b', 'c', 'd'].map((id) => gone.append(id, { lane: 'k' })));
    const [name] = files(gone.directory).map((file) => file.replace('.queue', ''));
    const adopter = await TestQueue.open(gone.directory);
    gone.kill();
    const [own] = files(gone.directory).filter((file) => !file.startsWith(name));
    adopter.kill();
    // As it is after the first commit of a batch of two: both files hold «a» and «b».
    const sqlite = await loadSqlite('the test');
    const file = QueueFile.open(sqlite, join(gone.directory, own));
    file.transaction(() => {
      file.insert(['a', 'b'].map((id, at) => ({ ...entry(id, { lane: 'k' }), seq: at + 1 })));
      file.setAdopted(name, 2);
    });
    file.close();
    const next = await TestQueue.open(gone.directory);
    await settle(next, 1_000);
    const sent: string[] = [];
    for (let [head] = next.ready(); head; [head] = next.ready()) {
      sent.push(head.id);
      next.queue.remove(head);
    }
    expect(sent.sort()).toEqual(['a', 'b', 'c', 'd']);
    expect(files(gone.directory)).toHaveLength(1);
  });

  test('empty ones, and locks without a file, are removed', async () => {
    const gone = await dead((await TestQueue.open()).directory, []);
    const living = await TestQueue.open(gone.directory);
    await settle(living, 1_000);
    expect(files(gone.directory).length).toBeLessThanOrEqual(2);
  });
});
