import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { diskRetryQueue } from 'nestjs-messaging';
import { loadSqlite } from '../../lib/clients/sqlite.js';
import { QueueFile } from '../../lib/durable-queue/queue-file.js';
import { requeueDestination } from '../../lib/requeue/requeue-destination.js';
import { type Application, start } from '../unit/support/application.js';
import { confirmed } from '../unit/support/fake-transport.js';
import { TestQueue, files, temporaryDirectory } from './support/queue.js';

const here = { name: 'here' };
const there = { name: 'there' };

async function settle({ clock }: Pick<TestQueue, 'clock'>, ms = 1_000): Promise<void> {
  await clock.advance(ms);
  for (let turn = 0; turn < 40; turn++) await clock.advance(0);
}

/** Left behind by a process that died. */
async function leave(directory: string, destination: typeof here, ...ids: string[]): Promise<void> {
  const one = await TestQueue.open(directory, destination);
  await Promise.all(ids.map((id) => one.append(id)));
  one.kill();
}

describe('two destinations in one directory', () => {
  test('each takes over its own files at the start and later, and leaves the others where they are', async () => {
    const directory = temporaryDirectory();
    await leave(directory, there, 'a', 'b');
    await leave(directory, here, 'c');
    const one = await TestQueue.open(directory, here);
    await leave(directory, here, 'd');
    await leave(directory, there, 'e');
    await settle(one);
    expect(one.queue.depth).toBe(2);
    const other = await TestQueue.open(directory, there);
    await settle(other);
    expect([one.queue.depth, other.queue.depth]).toEqual([2, 3]);
    expect(files(directory)).toHaveLength(2);
  });

  test('what is left alone is told: whose, how much, and a line once when nobody sends it', async () => {
    const directory = temporaryDirectory();
    await leave(directory, there, 'a', 'b');
    const one = await TestQueue.open(directory, here);
    await settle(one);
    await settle(one);
    expect(one.queue.others).toEqual([{ destination: 'there', files: 1, messages: 2, running: false }]);
    expect(one.lines.filter((line) => line.includes('2 messages in 1 files for «there»'))).toHaveLength(1);
    const other = await TestQueue.open(directory, there);
    await settle(one);
    expect(one.queue.others).toEqual([{ destination: 'there', files: 1, messages: 2, running: true }]);
    expect(other.queue.others).toEqual([]);
  });

  test('a damaged file of another is not touched', async () => {
    const directory = temporaryDirectory();
    await leave(directory, there, 'a');
    const [damaged] = files(directory);
    writeFileSync(join(directory, damaged), Buffer.alloc(8_192, 7));
    const one = await TestQueue.open(directory, here);
    await settle(one);
    expect(readFileSync(join(directory, damaged))).toEqual(Buffer.alloc(8_192, 7));
    expect(readdirSync(directory)).not.toContain('quarantine');
    expect(one.queue.others).toEqual([{ destination: undefined, files: 1, messages: 1, running: false }]);
  });

  test('another destination’s files are taken over where that was asked for', async () => {
    const directory = temporaryDirectory();
    await leave(directory, there, 'a', 'b');
    const one = await TestQueue.open(directory, { name: 'here', accepts: (name) => name === 'there' });
    await settle(one);
    expect(one.queue.depth).toBe(2);
    expect(one.queue.others).toEqual([]);
    one.kill();
    const again = await TestQueue.open(directory, here);
    expect(again.queue.depth).toBe(2);
  });

  test('a file of an earlier version is taken over where nobody else has files, and left alone where somebody has', async () => {
    const directory = temporaryDirectory();
    const old = async (name: string): Promise<void> => {
      const file = QueueFile.open(await loadSqlite('the test'), join(directory, `${name}.queue`));
      const entry = { queue: '', id: 'a', lane: undefined, priority: 0, dueAt: 0, expiresAt: undefined };
      const more = { queuedAt: 1, attempts: 0, returns: 0, bytes: 1, meta: '{}', body: Buffer.alloc(1), seq: 1 };
      file.transaction(() => file.insert([{ ...entry, ...more }]));
      file.close();
    };
    await old('first');
    const one = await TestQueue.open(directory, here);
    await settle(one);
    expect(one.queue.depth).toBe(1);
    await leave(directory, there, 'b');
    await old('second');
    await settle(one);
    expect(one.queue.depth).toBe(1);
    expect(one.queue.others).toHaveLength(2);
    one.kill();
    const again = await TestQueue.open(directory, here);
    expect(again.queue.depth).toBe(1);
  });

  test('the requeue service knows its files as long as one of its servers stays', () => {
    const { name, accepts } = requeueDestination(['a:4222', 'b']);
    expect(name).toBe('requeue:a:4222,b:4222');
    expect([accepts!('requeue:b:4222,c:4222'), accepts!('requeue:c:4222'), accepts!('b:4222')]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('two applications whose retry queues share a directory', () => {
  const on = (directory: string, service: string, adopt?: string[]): Promise<Application> =>
    start({ service, retryQueue: { store: diskRetryQueue({ directory, adopt }) } });

  async function close(app: Application): Promise<void> {
    const closing = app.messaging.close();
    await app.clock.advance(20_000);
    await closing;
  }

  test('send their own messages only; health tells what waits there for another, and it can be adopted on purpose', async () => {
    const directory = join(temporaryDirectory(), 'shared');
    mkdirSync(directory, { mode: 0o700 });
    const first = await on(directory, 'first');
    first.transport.disconnected();
    for (let n = 0; n < 5; n++) first.publish('order.created', n);
    await first.turn();
    await close(first);

    const second = await on(directory, 'second');
    second.transport.answer = () => confirmed;
    await settle(second, 10_000);
    expect(second.transport.published).toEqual([]);
    const { status, retryQueue } = second.messaging.health();
    const [{ destination }] = retryQueue.others!;
    expect(retryQueue.others).toEqual([{ destination, files: 1, messages: 5, running: false }]);
    expect(destination).toBe('first:default:fake');
    expect(status).toBe('degraded');
    await close(second);

    const third = await on(directory, 'second', [destination!]);
    third.transport.answer = () => confirmed;
    await settle(third, 10_000);
    expect(third.transport.published).toHaveLength(5);
    expect(third.messaging.health().retryQueue.others).toBeUndefined();
    await close(third);
  });
});
