import { describe, expect, test } from '@jest/globals';
import { exponential } from '../../../lib/retry/backoff.js';
import { deferred } from '../support/application.js';
import { confirmed, unroutable } from '../support/fake-transport.js';
import { BACKOFF, GRACE, LEASE, type Process, TIMEOUT, World } from './support.js';

const ROUTE = 'order.created';
/** When a process has taken a dead one's records for certain. */
const TAKEN = LEASE + LEASE / 3 + 500;

/** A local transaction that runs when its process is killed; whether it commits is up to the test. */
async function left(world: World, process: Process, commits: boolean, id = 'm'): Promise<void> {
  const result = process.publisher.publishInTransaction(
    ROUTE,
    { from: id },
    (local) => {
      if (commits) world.committed.add(local.id);
      return new Promise(() => undefined);
    },
    { id },
  );
  result.catch(() => undefined);
  await process.turn();
}

/** The first such answer of the store is lost: what was asked for is done, and nobody hears of it. */
function losing(isIt: (answer: unknown) => boolean): (call: () => unknown) => unknown {
  let isLost = false;
  return async (call) => {
    const answer = await call();
    if (isLost || !isIt(answer)) return answer;
    isLost = true;
    throw new Error('the answer was lost');
  };
}

describe('a process that died', () => {
  test.each([true, false])(
    'is seen to by another, not before its transaction must have ended (commits: %s)',
    async (commits) => {
      const world = new World();
      const first = await world.process();
      const second = await world.process();
      await left(world, first, commits);
      first.kill();
      await world.pass(TIMEOUT + GRACE + LEASE - 500);
      expect([world.asked.length, world.sent]).toEqual([0, []]);
      await world.pass(TAKEN);
      expect(world.asked).toMatchObject([{ messageId: 'm', body: { from: 'm' }, checks: 0 }]);
      expect(world.sent).toEqual(commits ? ['m'] : []);
      expect(await second.states()).toEqual([]);
      expect(second.logged('log')).toContainEqual(
        expect.stringContaining('of a process that ended is seen to in 12000 ms'),
      );
    },
  );

  test('is seen to by its successor, which sends what was known to have committed at once', async () => {
    const world = new World();
    const first = await world.process();
    first.transport.answer = () => unroutable();
    await first.publisher.publishInTransaction(ROUTE, 1, () => undefined, { id: 'm' });
    first.kill();
    await world.process();
    await world.pass(TAKEN);
    expect(world.sent).toEqual(['m', 'm']);
    expect(world.asked).toEqual([]);
  });

  test('whose successor dies as well is seen to by the next', async () => {
    const world = new World();
    for (let n = 0; n < 3; n++) {
      const process = await world.process();
      if (n === 0) await left(world, process, true);
      await world.pass(TAKEN + TIMEOUT);
      process.kill();
    }
    await world.process();
    await world.pass(TAKEN + TIMEOUT + GRACE);
    expect(world.sent).toEqual(['m']);
  });

  test('is seen to where the answer to who took over was lost', async () => {
    const world = new World();
    const [first, second] = [await world.process(), await world.process()];
    await left(world, first, true);
    await left(world, second, true, 'own');
    first.kill();
    second.around(
      'adopt',
      losing((records) => (records as unknown[]).length > 0),
    );
    await world.pass(TAKEN + LEASE);
    expect(second.logged('error').join()).toContain('the answer was lost');
    expect(second.logged('log').filter((line) => line.includes('is seen to'))).toHaveLength(1);
    await world.pass(TIMEOUT + GRACE);
    expect(world.sent.sort()).toEqual(['m', 'own']);
  });

  test('of many is seen to by one of many others', async () => {
    const world = new World();
    const first = await world.process();
    for (let n = 0; n < 30; n++) await left(world, first, n % 3 > 0, `m${n}`);
    const others = await Promise.all([world.process(), world.process(), world.process()]);
    first.kill();
    await world.pass(TAKEN + TIMEOUT + GRACE);
    expect([...world.sent].sort()).toEqual(
      Array.from({ length: 30 }, (_, n) => `m${n}`)
        .filter((_, n) => n % 3 > 0)
        .sort(),
    );
    expect(world.asked).toHaveLength(30);
    expect(await others[0].states()).toEqual([]);
  });
});

describe('a process that lives', () => {
  test('is never seen to by others while its transaction runs, however long, and however clocks jump', async () => {
    const world = new World();
    const first = await world.process();
    const second = await world.process();
    const local = deferred();
    const result = first.publisher.publishInTransaction(ROUTE, 1, () => local.promise, { timeout: 1_000_000 });
    await first.turn();
    for (const process of [first, second])
      for (const jump of [3_600_000, -7_200_000]) {
        const { now } = process.clock;
        process.clock.now = () => now.call(process.clock) + jump;
        await world.pass(10 * LEASE);
      }
    expect(world.asked).toEqual([]);
    expect(await first.states()).toEqual(['prepared']);
    local.resolve();
    expect(await result).toMatchObject({ outcome: 'confirmed' });
  });

  test('but stood still for longer than its lease sends what it commits, whatever others found out', async () => {
    const world = new World();
    const first = await world.process();
    const second = await world.process();
    const local = deferred();
    const result = first.publisher.publishInTransaction(ROUTE, 1, () => local.promise);
    await first.turn();
    // Only the time of the second goes on; the transaction is longer than it may be, and rolled back as far as anybody sees.
    await second.clock.advance(TAKEN + TIMEOUT + GRACE);
    expect(await second.states()).toEqual([]);
    local.resolve();
    expect(await result).toMatchObject({ outcome: 'confirmed' });
    await world.pass(LEASE);
    expect(world.sent).toHaveLength(1);
    expect(await second.states()).toEqual([]);
  });

  test('is not taken for dead because the machine of both stood still', async () => {
    const world = new World();
    const first = await world.process();
    const second = await world.process();
    await left(world, first, true);
    await world.pass(LEASE);
    // Time has gone on for the second before it could look again.
    const { monotonic } = second.clock;
    second.clock.monotonic = () => monotonic.call(second.clock) + 10 * LEASE;
    await second.clock.advance(LEASE / 3);
    await world.pass(LEASE / 3);
    expect((await world.store.owners()).length).toBeGreaterThanOrEqual(1);
    expect(world.asked).toEqual([]);
  });
});

describe('a transaction of which nobody knows', () => {
  const unknown: [string, () => unknown, string][] = [
    ['unknown', () => 'unknown', 'Orders.wasCreated does not know'],
    [
      'a thrown error',
      () => Promise.reject(new Error('the database is down')),
      'Orders.wasCreated failed: the database is down',
    ],
    ['nothing', () => undefined, "Orders.wasCreated gave undefined; allowed: 'committed', 'rolled-back' or 'unknown'"],
    ['true', () => true, 'gave a boolean'],
    ['another text', () => 'Committed', 'gave another text'],
    ['a promise for ever', () => new Promise(() => undefined), 'gave no answer within 30000 ms'],
  ];

  test.each(unknown)('by %s is asked again, parked, told, and never discarded', async (_, answer, reason) => {
    const world = new World();
    world.answer = answer;
    const first = await world.process();
    await left(world, first, true);
    first.kill();
    const second = await world.process();
    const told = second.record('transaction-checked');
    await world.pass(TAKEN + TIMEOUT + GRACE + 3 * (BACKOFF + 31_000));
    expect(world.asked.map(({ checks }) => checks)).toEqual([0, 1, 2]);
    expect(await second.states()).toEqual(['parked']);
    expect(told.map(({ outcome, checks }) => [outcome, checks])).toEqual([
      ['unknown', 1],
      ['unknown', 2],
      ['parked', 3],
    ]);
    expect(told[0].reason).toContain(reason);
    expect(second.logged('error').join()).toMatch(
      /Nobody can say what became of transaction .*, asked 3 times: it is parked/,
    );
    await world.pass(10 * LEASE);
    expect(second.messaging.health()).toMatchObject({ status: 'degraded', transactions: { parked: 1 } });
    expect(world.asked).toHaveLength(3);
    expect(world.sent).toEqual([]);
  });

  test('waits longer after each check', async () => {
    const world = new World();
    world.answer = () => 'unknown';
    const first = await world.process();
    await left(world, first, true);
    first.kill();
    const second = await world.process({ checks: 100, backoff: exponential({ initial: 1_000, factor: 2, jitter: 0 }) });
    const times: number[] = [];
    second.messaging.events.on('transaction-checked', () => times.push(second.clock.monotonic()));
    await world.pass(TAKEN + TIMEOUT + GRACE + 35_000);
    expect(times.slice(1).map((time, at) => time - times[at])).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
  });

  async function parked(): Promise<{ world: World; process: Process; id: string }> {
    const world = new World();
    world.answer = () => 'unknown';
    const first = await world.process();
    await left(world, first, true);
    first.kill();
    const process = await world.process({ checks: 1 });
    await world.pass(TAKEN + TIMEOUT + GRACE);
    const [{ id }] = await process.messaging.transactions.list({ state: 'parked' });
    return { world, process, id };
  }

  test('is listed for an operator', async () => {
    const { process, id } = await parked();
    const [one, ...others] = await process.messaging.transactions.list();
    expect(others).toEqual([]);
    expect(one).toEqual({
      ...{
        id,
        messageId: 'm',
        route: ROUTE,
        state: 'parked',
        checks: 1,
        seq: 1,
        reason: 'Orders.wasCreated does not know',
      },
      ...{ preparedAt: expect.any(Date), body: Buffer.from('{"from":"m"}') },
    });
    expect(await process.messaging.transactions.list({ state: 'unknown' })).toEqual([]);
    expect(await process.messaging.transactions.list({ after: 1 })).toEqual([]);
    for (const page of [{ state: 'lost' }, { limit: 0 }, { after: -1 }, { page: 1 }])
      await expect(process.messaging.transactions.list(page as never)).rejects.toMatchObject({
        code: 'INVALID_OPTION',
      });
  });

  test('is sent when an operator says that it has committed, by any process', async () => {
    const { world, process, id } = await parked();
    const other = await world.process();
    expect(await other.messaging.transactions.resolve(id, 'committed')).toBe(true);
    await world.pass(1_000);
    expect(other.transport.publishedIds).toEqual(['m']);
    expect(await other.messaging.transactions.resolve(id, 'committed')).toBe(false);
    await world.pass(LEASE);
    expect(process.messaging.health()).toMatchObject({ status: 'up', transactions: { parked: 0 } });
  });

  test('goes when an operator says that it was rolled back, and is asked about anew when he says so', async () => {
    const gone = await parked();
    expect(await gone.process.messaging.transactions.resolve(gone.id, 'rolled-back')).toBe(true);
    expect([await gone.process.states(), gone.world.sent]).toEqual([[], []]);
    const anew = await parked();
    anew.world.answer = () => 'committed';
    expect(await anew.process.messaging.transactions.resolve(anew.id, 'unknown')).toBe(true);
    await anew.world.pass(1_000);
    expect(anew.world.sent).toEqual(['m']);
    const { transactions } = anew.process.messaging;
    await expect(transactions.resolve(anew.id, 'done' as never)).rejects.toThrow('outcome');
    await expect(transactions.resolve('', 'committed')).rejects.toThrow('the id of a transaction');
    expect(await transactions.resolve('other', 'committed')).toBe(false);
  });

  test.each(['committed', 'unknown'] as const)('is seen to where the answer to the operator was lost: %s', async (outcome) => {
    const { world, process, id } = await parked();
    world.answer = () => 'committed';
    process.around('resolve', losing((resolved) => resolved === true));
    await expect(process.messaging.transactions.resolve(id, outcome)).rejects.toThrow('the answer was lost');
    await world.pass(GRACE + 1_000);
    expect(world.sent).toEqual(['m']);
    expect(await process.states()).toEqual([]);
  }); // prettier-ignore

  test('has a route that no process here can be asked about: it is left to those that can', async () => {
    const world = new World();
    const first = await world.process();
    first.messaging.addChecker({ route: 'order.paid', place: 'New.wasPaid', ask: () => 'committed' });
    const result = first.publisher.publishInTransaction('order.paid', 1, () => new Promise(() => undefined), {
      id: 'new',
    });
    result.catch(() => undefined);
    await first.turn();
    first.kill();
    await world.process();
    await world.pass(TAKEN + TIMEOUT + GRACE);
    expect(world.sent).toEqual([]);
    const other = await world.process();
    other.messaging.addChecker({ route: 'order.paid', place: 'New.wasPaid', ask: () => 'committed' });
    await world.pass(TAKEN + TIMEOUT + GRACE);
    expect(world.sent).toEqual(['new']);
  });
});

test('the store that fails while others are seen to is told once, and everything goes on when it works', async () => {
  const world = new World();
  const first = await world.process();
  await left(world, first, true);
  first.kill();
  const second = await world.process();
  await world.pass(TAKEN);
  second.break('find', 'beat', 'owners', 'count', 'note', 'commit', 'remove');
  await world.pass(TIMEOUT + GRACE + 5 * LEASE);
  expect(world.sent).toEqual([]);
  expect(second.messaging.health()).toMatchObject({ status: 'degraded', transactions: { reason: 'the disk is gone' } });
  expect(second.logged('error').filter((line) => line.includes('failed: the disk is gone'))).toHaveLength(1);
  second.faults.clear();
  second.transport.answer = () => confirmed;
  await world.pass(LEASE + 2 * BACKOFF);
  expect(world.sent).toEqual(['m']);
  expect(second.messaging.health().status).toBe('up');
  expect(second.logged('log')).toContain('The store of transaction records works again');
});
