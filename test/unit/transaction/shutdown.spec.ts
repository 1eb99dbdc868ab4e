import { describe, expect, test } from '@jest/globals';
import { deferred } from '../support/application.js';
import { GRACE, LEASE, type Process, TIMEOUT, World } from './support.js';

const ROUTE = 'order.created';
const SHUTDOWN = 5_000;

describe('a shutdown', () => {
  test('waits for local transactions that run, and sends what they commit; nothing new begins', async () => {
    const world = new World();
    const process = await world.process();
    const local = deferred();
    const result = process.publisher.publishInTransaction(ROUTE, 1, () => local.promise);
    await process.turn();
    const closed = process.messaging.close();
    await process.clock.advance(1_000);
    await expect(process.publisher.publishInTransaction(ROUTE, 1, () => 1)).rejects.toMatchObject({
      code: 'PUBLISHER_CLOSED',
    });
    local.resolve();
    await process.turn();
    expect(await result).toMatchObject({ outcome: 'confirmed' });
    await closed;
    expect(await world.store.count()).toEqual({ prepared: 0, unknown: 0, parked: 0, committed: 0 });
    expect(await world.store.owners()).toEqual([]);
  });

  test('does not wait for ever: another process asks about what has not ended, and sends what was not sent, at once', async () => {
    const world = new World();
    const process = await world.process();
    process.transport.disconnected();
    await process.publisher.publishInTransaction(ROUTE, 1, () => undefined, { id: 'committed' });
    let id = '';
    const hangs = process.publisher.publishInTransaction(
      ROUTE,
      1,
      (local) => {
        world.committed.add((id = local.id));
        return new Promise(() => undefined);
      },
      { id: 'hangs' },
    );
    hangs.catch(() => undefined);
    await process.turn();
    const closed = process.messaging.close();
    await process.clock.advance(20_000);
    await closed;
    process.kill();
    expect(process.logged('error')).toContainEqual(
      expect.stringContaining(`${id} had not ended at the shutdown deadline`),
    );
    expect(process.logged('error').filter((line) => line.includes('lost with this process'))).toEqual([]);
    const other = await world.process();
    await world.pass(LEASE);
    expect(world.sent).toEqual(['committed']);
    await world.pass(TIMEOUT + GRACE);
    expect(world.sent).toEqual(['committed', 'hangs']);
    expect(await other.states()).toEqual([]);
  });
});

/** A process that is just asking what became of a transaction, and is not answered. */
async function asking(): Promise<{ world: World; process: Process; answer: (outcome: string) => void }> {
  const world = new World();
  const process = await world.process({}, { shutdownTimeout: SHUTDOWN });
  const hangs = process.publisher.publishInTransaction(ROUTE, 1, () => Promise.reject(new Error('no')), { id: 'm' });
  await expect(hangs).rejects.toThrow('no');
  const answered = deferred<string>();
  world.answer = () => answered.promise;
  await world.pass(TIMEOUT + GRACE);
  expect(world.asked).toHaveLength(2);
  return { world, process, answer: answered.resolve };
}

describe('a shutdown during a check-back', () => {
  test('ends at its deadline where that is never answered; the record stays, and others ask at once', async () => {
    const { world, process, answer } = await asking();
    let closed = false;
    void process.messaging.close().then(() => (closed = true));
    await process.clock.advance(SHUTDOWN - 1);
    expect(closed).toBe(false);
    await process.clock.advance(1);
    expect(closed).toBe(true);
    expect(process.logged('warn')).toContain(
      '1 check-backs had not been answered at the shutdown deadline; another process, or the next one, asks again',
    );
    expect(await process.states()).toEqual(['prepared']);
    // Too late: the record is for others by now, and the store is closed.
    for (const method of ['commit', 'remove', 'note'] as const) process.break(method);
    answer('committed');
    await process.turn();
    expect(process.logged('error')).toEqual([]);
    process.kill();
    const other = await world.process();
    await world.pass(LEASE + TIMEOUT + GRACE);
    expect(world.sent).toEqual(['m']);
    expect(await other.states()).toEqual([]);
  });

  test('waits for its answer, and writes that down: what was rolled back goes', async () => {
    const { world, process, answer } = await asking();
    const closed = process.messaging.close();
    await process.clock.advance(1_000);
    answer('rolled-back');
    await closed;
    expect(await world.store.count()).toEqual({ prepared: 0, unknown: 0, parked: 0, committed: 0 });
    expect(await world.store.owners()).toEqual([]);
    expect(process.logged('warn')).toEqual([]);
  });

  test('waits for its answer, and writes that down: what has committed is sent by others without being asked about', async () => {
    const { world, process, answer } = await asking();
    const closed = process.messaging.close();
    await process.clock.advance(1_000);
    answer('committed');
    await closed;
    expect(await process.states()).toEqual(['committed']);
    process.kill();
    const other = await world.process();
    await world.pass(LEASE);
    expect(world.sent).toEqual(['m']);
    expect(world.asked).toHaveLength(2);
    expect(await other.states()).toEqual([]);
  });

  test('waits for its answer, and writes that down: what is unknown is not asked about again by this process', async () => {
    const { world, process, answer } = await asking();
    const closed = process.messaging.close();
    await process.clock.advance(1_000);
    answer('unknown');
    await closed;
    await process.clock.advance(60_000);
    expect(await process.states()).toEqual(['unknown']);
    expect(world.asked).toHaveLength(2);
  });

  test('ends at its deadline where it is asked because a local transaction failed', async () => {
    const world = new World();
    const process = await world.process({}, { shutdownTimeout: SHUTDOWN });
    world.answer = () => new Promise(() => undefined);
    const result = process.publisher.publishInTransaction(ROUTE, 1, () => Promise.reject(new Error('no')));
    const settled = result.catch((error: unknown) => error);
    await process.turn();
    expect(world.asked).toHaveLength(1);
    const closed = process.messaging.close();
    await process.clock.advance(SHUTDOWN);
    await closed;
    expect(await process.states()).toEqual(['prepared']);
    await process.clock.advance(30_000);
    expect(await settled).toMatchObject({ code: 'TRANSACTION_UNKNOWN' });
  });

  test('ends at its deadline where the store gives no answer, too', async () => {
    const world = new World();
    const process = await world.process({}, { shutdownTimeout: SHUTDOWN });
    await expect(
      process.publisher.publishInTransaction(ROUTE, 1, () => Promise.reject(new Error('no'))),
    ).rejects.toThrow('no');
    process.faults.set('find', () => new Promise(() => undefined));
    process.faults.set('owners', () => new Promise(() => undefined));
    await world.pass(TIMEOUT + GRACE);
    const closed = process.messaging.close();
    // The look for what others have left is part of the first phase, which may take all of the time.
    await process.clock.advance(SHUTDOWN + 1_000);
    await closed;
    expect(await process.states()).toEqual(['prepared']);
  });
});
