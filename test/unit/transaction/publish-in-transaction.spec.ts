import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { TransactionTimeoutError, TransactionUnknownError } from '../../../lib/errors/transaction-errors.js';
import { message } from '../../../lib/message/message-contract.js';
import type { PublishMiddleware } from '../../../lib/publisher/publish-middleware.js';
import type { LocalTransaction } from '../../../lib/publisher/transactional-sending.js';
import { diskRetryQueue } from '../../../lib/publisher/disk-retry-queue.js';
import { memoryTransactionRecords } from '../../../lib/transaction/memory-transaction-records.js';
import { Application, deferred, start } from '../support/application.js';
import { confirmed, unroutable } from '../support/fake-transport.js';
import { BACKOFF, GRACE, LEASE, TIMEOUT, World } from './support.js';

const ROUTE = 'order.created';

describe('publishInTransaction', () => {
  test('sends when the local transaction has resolved, not before, and leaves no record', async () => {
    const world = new World();
    const process = await world.process();
    const local = deferred();
    const result = process.publisher.publishInTransaction(ROUTE, { order: 1 }, () => local.promise, { id: 'm1' });
    await process.turn();
    expect(await process.states()).toEqual(['prepared']);
    await world.pass(TIMEOUT - 1);
    expect([world.sent, world.asked]).toEqual([[], []]);
    expect(process.messaging.health().transactions).toEqual({
      store: 'shared',
      running: 1,
      unknown: 0,
      parked: 0,
      unsent: 0,
    });
    local.resolve();
    expect(await result).toMatchObject({ id: 'm1', outcome: 'confirmed' });
    await process.turn();
    expect(await process.states()).toEqual([]);
    expect(process.transport.last).toMatchObject({
      message: { id: 'm1', route: ROUTE, body: Buffer.from('{"order":1}') },
    });
    expect(process.messaging.health()).toMatchObject({ status: 'up', transactions: { running: 0 } });
    expect(world.asked).toEqual([]);
  });

  test('gives every local transaction an id of its own, which its check-back gets, and takes one that is synchronous', async () => {
    const world = new World();
    const process = await world.process();
    const seen: LocalTransaction[] = [];
    for (let n = 0; n < 2; n++)
      await process.publisher.publishInTransaction(ROUTE, 1, (transaction) => void seen.push(transaction), {
        id: 'same',
      });
    expect(seen[0].id).not.toBe(seen[1].id);
    const fails = process.publisher.publishInTransaction(
      ROUTE,
      { a: 1 },
      (transaction) => {
        seen.push(transaction);
        throw new Error('no');
      },
      { id: 'same', headers: { tenant: 'ada' }, key: 'k' },
    );
    await expect(fails).rejects.toThrow('no');
    expect(world.asked).toMatchObject([
      {
        id: seen[2].id,
        messageId: 'same',
        route: ROUTE,
        body: { a: 1 },
        checks: 0,
        headers: { tenant: 'ada', 'messaging-key': 'k' },
      },
    ]);
    expect(world.asked[0].preparedAt).toBeInstanceOf(Date);
  });

  test('rejects as the local transaction did that is rolled back; its record goes when it must have ended', async () => {
    const world = new World();
    const process = await world.process();
    const error = new Error('out of stock');
    await expect(process.publisher.publishInTransaction(ROUTE, 1, () => Promise.reject(error))).rejects.toBe(error);
    await world.pass(TIMEOUT + GRACE - 500);
    expect(await process.states()).toEqual(['prepared']);
    await world.pass(1_000);
    expect(await process.states()).toEqual([]);
    expect(world.asked).toHaveLength(2);
    expect(world.sent).toEqual([]);
  });

  test('a commit whose answer was lost counts: at once where it is seen, and later where it is seen late', async () => {
    const world = new World();
    const process = await world.process();
    const lost =
      (when: 'at once' | 'late') =>
      async ({ id }: LocalTransaction) => {
        if (when === 'at once') world.committed.add(id);
        else process.clock.after(1_000, () => world.committed.add(id));
        throw new Error('connection reset');
      };
    const receipt = await process.publisher.publishInTransaction(ROUTE, 1, lost('at once'), { id: 'a' });
    expect(receipt.outcome).toBe('confirmed');
    await expect(process.publisher.publishInTransaction(ROUTE, 1, lost('late'), { id: 'b' })).rejects.toThrow('reset');
    expect(world.sent).toEqual(['a']);
    await world.pass(TIMEOUT + GRACE + 500);
    expect(world.sent).toEqual(['a', 'b']);
    expect(await process.states()).toEqual([]);
  });

  test('rejects with TransactionUnknownError where nobody knows, and finds out later', async () => {
    const world = new World();
    const process = await world.process();
    const truth = world.answer;
    world.answer = () => {
      throw new Error('the database is down');
    };
    const error = new Error('connection reset');
    let id = '';
    const result = process.publisher.publishInTransaction(ROUTE, 1, (local) => {
      world.committed.add((id = local.id));
      throw error;
    });
    const unknown = (await result.catch((thrown: unknown) => thrown)) as TransactionUnknownError;
    expect(unknown).toBeInstanceOf(TransactionUnknownError);
    expect(unknown).toMatchObject({ code: 'TRANSACTION_UNKNOWN', retryable: false, id, cause: error });
    expect(unknown.message).toContain('Orders.wasCreated failed: the database is down');
    await world.pass(TIMEOUT + GRACE);
    world.answer = truth;
    await world.pass(BACKOFF + 500);
    expect(world.sent).toHaveLength(1);
  });

  test('aborts the signal at the timeout; a transaction that goes on is told of after the grace, and never taken for rolled back', async () => {
    const world = new World();
    const process = await world.process();
    const local = deferred();
    let seen!: LocalTransaction;
    const result = process.publisher.publishInTransaction(
      ROUTE,
      1,
      (transaction) => {
        seen = transaction;
        return local.promise;
      },
      { timeout: 4_000 },
    );
    const settled = result.catch((error: unknown) => error);
    await world.pass(3_500);
    expect(seen.signal.aborted).toBe(false);
    await world.pass(500);
    expect(seen.signal.reason).toBeInstanceOf(TransactionTimeoutError);
    expect(seen.signal.reason).toMatchObject({ code: 'TRANSACTION_TIMEOUT' });
    expect(world.asked).toEqual([]);
    await world.pass(GRACE);
    expect(await settled).toMatchObject({ code: 'TRANSACTION_UNKNOWN', id: seen.id });
    await world.pass(BACKOFF);
    expect(world.asked.length).toBeGreaterThan(1);
    expect(await process.states()).toEqual(['unknown']);
    expect(process.messaging.health().transactions).toMatchObject({ running: 1 });
    // The case of the field: slower than the check-back, and then one failed publish.
    process.transport.answer = () => unroutable();
    world.committed.add(seen.id);
    local.resolve();
    await process.turn();
    expect(process.messaging.health()).toMatchObject({ status: 'degraded', transactions: { unsent: 1 } });
    process.transport.answer = () => confirmed;
    await world.pass(BACKOFF);
    expect(await process.states()).toEqual([]);
    expect(process.messaging.health()).toMatchObject({ status: 'up', transactions: { unsent: 0, running: 0 } });
  });

  test('one that never ends, but is seen to have committed, is sent once', async () => {
    const world = new World();
    const process = await world.process();
    const local = deferred();
    let id = '';
    const result = process.publisher.publishInTransaction(ROUTE, 1, (transaction) => {
      id = transaction.id;
      return local.promise;
    });
    result.catch(() => undefined);
    await process.turn();
    world.committed.add(id);
    await world.pass(TIMEOUT + GRACE);
    expect(world.sent).toHaveLength(1);
    local.resolve();
    await world.pass(LEASE);
    expect(world.sent).toHaveLength(1);
    expect(await process.states()).toEqual([]);
  });

  test('what could not be sent after the commit waits in its record and is sent again and again', async () => {
    const world = new World();
    const process = await world.process();
    process.transport.answer = () => unroutable();
    const receipt = await process.publisher.publishInTransaction(ROUTE, 1, () => undefined, { id: 'm' });
    expect(receipt).toMatchObject({ id: 'm', outcome: 'queued', stored: 'record' });
    await world.pass(5 * BACKOFF);
    expect(await process.states()).toEqual(['committed']);
    expect(process.logged('error').filter((line) => line.includes('could not be sent'))).toHaveLength(1);
    expect(process.messaging.health()).toMatchObject({ status: 'degraded', transactions: { unsent: 1 } });
    process.transport.answer = () => confirmed;
    await world.pass(BACKOFF);
    expect(await receipt.settled).toEqual({ id: 'm', outcome: 'confirmed' });
    const { published } = process.transport;
    expect(published.length).toBeGreaterThan(5);
    expect(new Set(published.map(({ dedupeId }) => dedupeId)).size).toBe(1);
    expect(await process.states()).toEqual([]);
  });

  test('a record stays while its message waits in memory, and goes when it is on the disk', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'transactions-'));
    const world = new World();
    const memory = await world.process();
    const disk = await world.process({}, { retryQueue: { store: diskRetryQueue({ directory }) } });
    memory.transport.disconnected();
    disk.transport.disconnected();
    const inMemory = await memory.publisher.publishInTransaction(ROUTE, 1, () => undefined);
    expect(inMemory).toMatchObject({ outcome: 'queued', stored: 'record' });
    expect(await memory.states()).toEqual(['committed']);
    const onDisk = await disk.publisher.publishInTransaction(ROUTE, 1, () => undefined);
    expect(onDisk).toMatchObject({ outcome: 'queued', stored: 'disk' });
    await disk.turn();
    expect(await disk.states()).toEqual(['committed']);
    memory.transport.connected();
    expect(await inMemory.settled).toMatchObject({ outcome: 'confirmed' });
    expect(await memory.states()).toEqual([]);
    await Promise.all([disk.messaging.close(), disk.clock.advance(20_000)]);
    rmSync(directory, { recursive: true });
  });

  test('what no queue takes after it waited in memory stays in its record alone, and is no publisher dead letter beside', async () => {
    const world = new World();
    const process = await world.process();
    process.transport.disconnected();
    const receipt = await process.publisher.publishInTransaction(ROUTE, 1, () => undefined, { id: 'm' });
    process.transport.answer = () => unroutable();
    process.transport.connected();
    await world.pass(60_000);
    expect(process.messaging.health().deadLetters.publisher).toBe(0);
    expect(await process.states()).toEqual(['committed']);
    expect(process.messaging.health()).toMatchObject({ status: 'degraded', transactions: { unsent: 1 } });
    expect(process.logged('error').filter((line) => line.includes('could not be sent'))).toHaveLength(1);
    expect(process.logged('error').join()).not.toContain('dead letters');
    process.transport.answer = () => confirmed;
    await world.pass(BACKOFF);
    expect(await receipt.settled).toEqual({ id: 'm', outcome: 'confirmed' });
    expect(await process.states()).toEqual([]);
  });

  test('what is of no use any more when it can be sent is not sent for ever', async () => {
    const world = new World();
    const process = await world.process();
    process.transport.disconnected();
    const receipt = await process.publisher.publishInTransaction(ROUTE, 1, () => undefined, { ttl: 2_000 });
    await world.pass(5_000);
    expect(await receipt.settled).toMatchObject({ outcome: 'rejected', error: { code: 'MESSAGE_EXPIRED' } });
    expect(await process.states()).toEqual([]);
  });

  test('with the store down nothing is begun; a commit that cannot be written is sent all the same', async () => {
    const world = new World();
    const process = await world.process();
    const errors = process.record('store-error');
    process.break('prepare');
    let began = 0;
    const work = (): void => void began++;
    await expect(process.publisher.publishInTransaction(ROUTE, 1, work)).rejects.toMatchObject({
      code: 'TRANSACTION_RECORD',
      retryable: true,
      message: expect.stringContaining('the disk is gone'),
    });
    expect(began).toBe(0);
    expect(errors).toMatchObject([{ operation: 'transaction prepare' }]);
    expect(process.messaging.health()).toMatchObject({
      status: 'degraded',
      transactions: { reason: 'the disk is gone' },
    });
    process.faults.clear();
    process.break('commit', 'remove');
    const receipt = await process.publisher.publishInTransaction(ROUTE, 1, work);
    expect([began, receipt.outcome]).toEqual([1, 'confirmed']);
    await world.pass(5 * BACKOFF);
    expect(await process.states()).toEqual(['prepared']);
    process.faults.clear();
    await world.pass(BACKOFF + LEASE);
    expect(await process.states()).toEqual([]);
    expect(world.sent).toHaveLength(1);
    expect(process.messaging.health().status).toBe('up');
  });

  test('a record that was written though its store said it was not is found and asked about', async () => {
    const world = new World();
    const process = await world.process();
    process.faults.set('prepare', () =>
      world.store
        .prepare({ id: 'ghost', route: ROUTE, timeoutMs: 1, preparedAt: 1, meta: '', body: Buffer.alloc(0) }, 'other')
        .then(() => Promise.reject(new Error('the answer was lost'))),
    );
    await expect(process.publisher.publishInTransaction(ROUTE, 1, () => undefined)).rejects.toThrow('answer was lost');
    process.faults.clear();
    await world.pass(TIMEOUT + GRACE + 500);
    expect(process.messaging.health().transactions).toMatchObject({ running: 0 });
  });

  test('publish middleware is around the whole of it, and cannot run it twice', async () => {
    const world = new World();
    const seen: string[] = [];
    const around: PublishMiddleware = async (request, next) => {
      seen.push('before');
      const receipt = await next({ ...request, options: { ...request.options, headers: { by: 'middleware' } } });
      seen.push(receipt.outcome);
      return receipt;
    };
    const process = await world.process({}, { publishMiddleware: [around] });
    await process.publisher.publishInTransaction(ROUTE, 1, () => void seen.push('local'));
    expect(seen).toEqual(['before', 'local', 'confirmed']);
    expect(process.transport.last.message.headers).toMatchObject({ by: 'middleware' });
    const twice: PublishMiddleware = async (request, next) => (await next(request), next(request));
    const other = await world.process({}, { publishMiddleware: [twice] });
    let runs = 0;
    await expect(other.publisher.publishInTransaction(ROUTE, 1, () => void runs++)).rejects.toThrow(
      'one call in a transaction',
    );
    expect(runs).toBe(1);
  });

  test('the body is what it was at the call, and what does not fit its schema begins nothing', async () => {
    const world = new World();
    const process = await world.process();
    const late = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: async (value: any) => (value.bad ? { issues: [{ message: 'bad' }] } : { value }),
      },
    } as const;
    const body = { order: 1 };
    const sends = process.publisher.publishInTransaction(message(ROUTE, late as never), body, () => undefined);
    body.order = 2;
    await sends;
    expect(process.transport.last.message.body.toString()).toBe('{"order":1}');
    let runs = 0;
    await expect(
      process.publisher.publishInTransaction(message(ROUTE, late as never), { bad: true }, () => void runs++),
    ).rejects.toMatchObject({ code: 'INVALID_PAYLOAD' });
    expect(runs).toBe(0);
    expect(await process.states()).toEqual([]);
  });

  test.each<[string, (publish: (...args: any[]) => Promise<unknown>) => Promise<unknown>, string]>([
    [
      'a route without a check-back',
      (publish) => publish('order.paid', 1, () => 1),
      "a method @CheckTransaction('order.paid') in a provider; there are some for: order.created",
    ],
    ['no local transaction', (publish) => publish(ROUTE, 1), '«localTx» is undefined; allowed: a function'],
    ['a timeout of nothing', (publish) => publish(ROUTE, 1, () => 1, { timeout: 0 }), '«timeout» is 0'],
    [
      'an option of another name',
      (publish) => publish(ROUTE, 1, () => 1, { timeOut: 1 }),
      '«options.timeOut» is 1; allowed: nothing of that name; there are: id, key, headers, topic, delay, at, ttl, backoff, retryQueuePriority, priority, unroutable, correlationId, replyTo, serializer, timeout. Did you mean «timeout»?',
    ],
    [
      'a number of attempts',
      (publish) => publish(ROUTE, 1, () => 1, { attempts: 3 }),
      '«attempts» is 3; allowed: nothing',
    ],
    ['ordered', (publish) => publish(ROUTE, 1, () => 1, { ordered: true, key: 'k' }), '«ordered» is true'],
    [
      'what is to be unique',
      (publish) => publish(ROUTE, 1, () => 1, { unique: { key: 'k', for: 1 } }),
      'by a unique key of its database',
    ],
    ['no options', (publish) => publish(ROUTE, 1, () => 1, null), '«options» is null'],
    ['what cannot be written', (publish) => publish(ROUTE, { a: 1n }, () => 1), 'BigInt'],
    ['a body that is too large', (publish) => publish(ROUTE, 'x'.repeat(2 ** 20), () => 1), 'takes 1048576 at most'],
  ])('%s is refused before anything is done', async (_, call, text) => {
    const world = new World();
    const process = await world.process();
    const publish = process.publisher.publishInTransaction.bind(process.publisher) as (
      ...args: any[]
    ) => Promise<unknown>;
    await expect(call(publish)).rejects.toThrow(text);
    expect(await process.states()).toEqual([]);
  });

  test('is refused where records have no store, or one that ends with the process though the broker does not', async () => {
    const app = await start();
    await expect(app.publisher.publishInTransaction(ROUTE, 1, () => 1)).rejects.toThrow(
      'sqliteTransactionRecords({ file })',
    );
    expect(() => app.messaging.transactions).toThrow('transactions.store');
    expect(() => new Application({ transactions: { store: memoryTransactionRecords() } })).toThrow('in memory');
    for (const transactions of [
      {},
      { store: 1 },
      { store: memoryTransactionRecords(), checks: 0 },
      { store: memoryTransactionRecords(), leese: 1 },
      { store: memoryTransactionRecords(), backoff: 5 },
    ])
      expect(() => new Application({ transactions: transactions as never })).toThrow('transactions');
  });

  test('so many at a time as may be held: the next one is not begun', async () => {
    const world = new World();
    const process = await world.process({}, { retryQueue: { maxMessages: 2 } });
    const local = deferred();
    const first = [1, 2].map(() => process.publisher.publishInTransaction(ROUTE, 1, () => local.promise));
    await process.turn();
    await expect(process.publisher.publishInTransaction(ROUTE, 1, () => 1)).rejects.toMatchObject({
      code: 'RETRY_QUEUE_FULL',
    });
    local.resolve();
    await Promise.all(first);
    await process.turn();
    await process.publisher.publishInTransaction(ROUTE, 1, () => 1);
  });
});
