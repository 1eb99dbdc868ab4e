import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { loadSqlite } from '../../lib/clients/sqlite.js';
import { OwnerLock } from '../../lib/durable-queue/owner-lock.js';
import type { QueueEntry } from '../../lib/durable-queue/queue-entry.js';
import { QueueFile } from '../../lib/durable-queue/queue-file.js';
import { TestQueue, type entry, files } from './support/queue.js';

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

interface Torn {
  readonly directory: string;
  readonly adopted: string;
  readonly adopter: string;
}

/** Two files whose owners are dead, as they are right after the first commit of a batch: both hold «a» and «b», or the dead letter. */
async function torn(folder?: string, what: 'entries' | 'dead' = 'entries'): Promise<Torn> {
  const before = folder === undefined ? [] : files(folder);
  const gone = await TestQueue.open(folder);
  const { directory } = gone;
  gone.queue.bury(await gone.append('x'), DEATH);
  if (what === 'entries') await Promise.all(['a', 'b', 'c', 'd'].map((id) => gone.append(id, { lane: 'k' })));
  gone.queue.commit();
  const [adopted] = files(directory).filter((file) => !before.includes(file));
  const adopter = await TestQueue.open(directory);
  const [own] = files(directory).filter((file) => !before.includes(file) && file !== adopted);
  gone.kill();
  adopter.kill();
  const [name, ownName] = [adopted, own].map((file) => file.replace('.queue', ''));
  const sqlite = await loadSqlite('the test');
  const [from, to] = [adopted, own].map((file) => QueueFile.open(sqlite, join(directory, file)));
  from.transaction(() => from.adoptions.setAdopter(ownName));
  to.transaction(() => {
    const letters = from.deadAfter('', 0, 1);
    if (what === 'dead') {
      to.insertDead({ ...letters[0], seq: 1 }, letters[0]);
      to.addTotals('', { depth: 0, bytes: 0, dead: 1 });
      to.count(1);
      return to.adoptions.setMark({ file: name, entries: 0, dead: letters[0].seq });
    }
    const moved = [...from.entries(2)];
    to.insert(moved.map((stored, at) => ({ ...stored.entry!, seq: at + 1 })));
    to.adoptions.setMark({ file: name, entries: moved[1].seq, dead: 0 });
  });
  from.close();
  to.close();
  return { directory, adopted: name, adopter: ownName };
}

/** Somebody is looking at a file. */
async function locked(directory: string, name: string): Promise<OwnerLock> {
  return OwnerLock.tryAcquire(await loadSqlite('the test'), join(directory, `${name}.owner`))!;
}

/** Sends everything, and tells what that was; dead letters, too. */
function sendAll({ queue }: TestQueue): string[] {
  const sent: string[] = [];
  const pass = queue.ready('', { dueUntil: Number.MAX_SAFE_INTEGER });
  for (let step = pass.next(); !step.done; step = pass.next())
    for (let next: QueueEntry | undefined = step.value; next; next = queue.remove(next)) sent.push(next.id);
  return [...sent, ...queue.deadAfter('', 0, 9).map(({ id }) => `dead letter ${id}`)];
}

const DEATH = { reason: 'r', errorClass: 'E', errorCode: 'C', errorMessage: 'm', time: 1 };

afterEach(() => void jest.restoreAllMocks());

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

  describe('after a crash between the writing here and the deletion there', () => {
    test('whoever finds both files takes nothing twice', async () => {
      const { directory } = await torn();
      const next = await TestQueue.open(directory);
      await settle(next, 1_000);
      expect(sendAll(next).sort()).toEqual(['a', 'b', 'c', 'd', 'dead letter x']);
      expect(files(directory)).toHaveLength(1);
    });

    test('two, of whom each finds one of the files, take nothing twice', async () => {
      const { directory, adopted } = await torn();
      const lock = await locked(directory, adopted);
      const first = await TestQueue.open(directory);
      await settle(first);
      const sent = sendAll(first);
      expect(sent).toEqual(['a', 'b']);
      lock.release();
      const second = await TestQueue.open(directory);
      await settle(second, 1_000);
      expect(sendAll(second)).toEqual([]);
      await settle(first, 1_000);
      sent.push(...sendAll(first));
      expect(sent.sort()).toEqual(['a', 'b', 'c', 'd', 'dead letter x']);
      expect(files(directory)).toHaveLength(2);
    });

    test('nothing is taken twice when the adopter was adopted itself before the other file was seen', async () => {
      const bystander = await TestQueue.open();
      const { directory, adopted, adopter } = await torn(bystander.directory);
      const lock = await locked(directory, adopted);
      await settle(bystander, 1_000);
      const sent = sendAll(bystander);
      expect(sent).toEqual(['a', 'b']);
      // Its mark is still needed.
      expect(files(directory)).toContain(`${adopter}.queue`);
      lock.release();
      const next = await TestQueue.open(directory);
      await settle(next, 1_000);
      await settle(bystander, 1_000);
      await settle(next, 1_000);
      sent.push(...sendAll(next), ...sendAll(bystander));
      expect(sent.sort()).toEqual(['a', 'b', 'c', 'd', 'dead letter x']);
      expect(files(directory)).toHaveLength(2);
    });

    test('dead letters are not kept twice either', async () => {
      const { directory } = await torn(undefined, 'dead');
      const next = await TestQueue.open(directory);
      await settle(next, 1_000);
      expect(sendAll(next)).toEqual(['dead letter x']);
      expect(next.queue.totals('')).toEqual({ depth: 0, bytes: 0, dead: 1 });
    });
  });

  test('what could not be deleted there is not taken again at the next look', async () => {
    const living = await TestQueue.open();
    await dead(living.directory, ['a', 'b'], { lane: 'k' });
    jest.spyOn(QueueFile.prototype, 'delete').mockImplementationOnce(() => {
      throw new Error('no room');
    });
    await settle(living, 1_000);
    expect(living.failures).toMatchObject([{ operation: 'adopt' }]);
    const sent = sendAll(living);
    await settle(living, 1_000);
    expect([...sent, ...sendAll(living)]).toEqual(['a', 'b']);
    expect(files(living.directory)).toHaveLength(1);
  });

  test('one who stops in the middle leaves the rest to the next, and no file of its own', async () => {
    const ids = Array.from({ length: 400 }, (_, n) => `m${n}`);
    const living = await TestQueue.open();
    const other = await dead(living.directory, ids);
    const adopted = new Promise<void>((resolve) => (living.onAdopted = resolve));
    const advanced = living.clock.advance(1_000);
    await adopted;
    await advanced;
    const sent = sendAll(living);
    expect(sent.length).toBeLessThan(400);
    living.queue.close();
    expect(files(other.directory)).toHaveLength(1);
    const next = await TestQueue.open(other.directory);
    await settle(next);
    expect([...sent, ...sendAll(next)]).toEqual(ids);
  });

  test('empty ones, and locks without a file, are removed', async () => {
    const gone = await dead((await TestQueue.open()).directory, []);
    const living = await TestQueue.open(gone.directory);
    await settle(living, 1_000);
    expect(files(gone.directory).length).toBeLessThanOrEqual(2);
  });
});
