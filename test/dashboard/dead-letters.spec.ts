import { afterEach, describe, expect, test } from '@jest/globals';
import { memoryDeadLetterArchive } from 'nestjs-messaging';
import { waitFor } from '../brokers/wait-for.js';
import { closeShops, seen, Shop } from './support.js';

afterEach(closeShops);

const DLQ = 'shop:order.created:dlq';
const json = async (answer: Response): Promise<any> => answer.json();

/** With dead letters in an archive, or looked at in their queue. */
const places = {
  'a queue that was looked into': async (bodies: object[]): Promise<Shop> => {
    const shop = await Shop.open();
    await shop.fail(bodies);
    await shop.act('POST', 'looks', { queue: DLQ });
    return shop;
  },
  'an archive': async (bodies: object[]): Promise<Shop> => {
    const shop = await Shop.open({ archive: memoryDeadLetterArchive() });
    await shop.fail(bodies);
    return shop;
  },
};

const orders = (count: number): { id: string }[] => Array.from({ length: count }, (_, at) => ({ id: `o${at}` }));

async function ended(shop: Shop): Promise<any> {
  await waitFor(async () => (await shop.get('redrives'))[0]?.state.match(/ended|failed/), 'the redrive');
  return (await shop.get('redrives'))[0];
}

test('a queue is never read unasked', async () => {
  const shop = await Shop.open();
  await shop.fail(orders(3));
  const { deadLetters } = shop.messaging;
  let reads = 0;
  const list = deadLetters.list.bind(deadLetters);
  deadLetters.list = (...args) => (reads++, list(...args));
  for (const path of ['overview', 'queues', 'subscriptions', 'dead-letters', 'dead-letters/groups', 'plan', 'snapshot'])
    await shop.get(path);
  expect(reads).toBe(0);
  expect(await shop.get('dead-letters')).toMatchObject({ count: 0, letters: [], looks: [] });
  expect(await json(await shop.act('POST', 'looks', { queue: DLQ }))).toMatchObject({
    queue: DLQ,
    count: 3,
    more: false,
  });
  expect(reads).toBe(1);
  expect((await shop.get('dead-letters')).letters).toHaveLength(3);
  expect(reads).toBe(1);
});

test('only queues of dead letters of this process are looked into, one at a time, and 500 at most', async () => {
  const shop = await Shop.open();
  await shop.fail(orders(501));
  expect((await shop.act('POST', 'looks', { queue: 'shop:order.created:queue' })).status).toBe(404);
  const { deadLetters } = shop.messaging;
  const list = deadLetters.list.bind(deadLetters);
  const during: number[] = [];
  deadLetters.list = async (...args) => {
    during.push((await shop.act('POST', 'looks', { queue: DLQ })).status);
    return list(...args);
  };
  expect((await shop.act('POST', 'looks', { queue: DLQ })).status).toBe(200);
  expect(during).toEqual([409]);
  expect((await shop.get('queues')).deadLetterQueues[0].look).toMatchObject({ count: 500, more: true });
});

describe.each(Object.entries(places))('Dead letters in %s', (_, made) => {
  test('are grouped by reason, error, queue and route, listed newest first, and shown one by one', async () => {
    const shop = await made([...orders(3), { id: 'x', error: 'card declined' }]);
    const { groups, count } = await shop.get('dead-letters/groups');
    expect(count).toBe(4);
    expect(groups).toMatchObject([
      { reason: 'attempts-exhausted', error: 'StockError', queue: DLQ, route: 'order.created', count: 4 },
    ]);
    expect(groups[0].hours.at(-1)).toBe(4);
    const { letters } = await shop.get(`dead-letters?filter=group:${groups[0].group}`);
    expect(letters).toHaveLength(4);
    const one = await shop.get(`dead-letters/${letters[0].key}`);
    expect(one).toMatchObject({ queue: DLQ, route: 'order.created', attempts: 1, error: { class: 'StockError' } });
    expect(one.error.stack).toContain('Orders.created');
    expect(one.body.json).toEqual(['object', expect.any(Array)]);
    expect(one.trail.map(({ text }: { text: string }) => text).join('\n')).toMatch(
      /Published[^]*Delivered[^]*Given up/,
    );
    expect(one.command).toContain('npx nestjs-messaging dead-letters redrive');
    expect((await shop.call('GET', '/messaging/api/v1/dead-letters/unknown')).status).toBe(404);
  });

  test('are redriven as planned: a dry run sends nothing, a canary that fails stops it, and then the rest', async () => {
    const shop = await made(orders(5));
    const plan = await shop.get('plan');
    expect(plan).toMatchObject({ count: 5, queues: [{ queue: DLQ, count: 5 }] });
    expect(plan.sample).toHaveLength(5);
    await shop.act('POST', 'redrives', { ...(await seen(shop)), options: { dryRun: true } });
    expect(await ended(shop)).toMatchObject({ result: { matched: 5, done: 0 } });
    await shop.act('POST', 'redrives', { ...(await seen(shop)), options: { canary: { stages: [1], window: 60_000 } } });
    expect(await ended(shop)).toMatchObject({ result: { done: 1, stopped: 'canary', canaries: [{ fate: 'failed' }] } });
    shop.orders.fails = false;
    await shop.again(5);
    await shop.act('POST', 'redrives', { ...(await seen(shop)), options: { canary: { stages: [1], window: 60_000 } } });
    expect(await ended(shop)).toMatchObject({ state: 'ended', result: { done: 5, failed: 0 } });
    await waitFor(() => shop.orders.handled.length === 5, 'all handled');
    expect(await shop.get('dead-letters')).toMatchObject({ count: 0 });
    expect((await shop.get('activity')).slice(0, 1)).toMatchObject([
      { action: 'redrive', result: '5 redriven, 0 failed' },
    ]);
  });

  test('an action is refused where what matches is not what was shown, and touches nothing else', async () => {
    const shop = await made(orders(2));
    const before = await seen(shop);
    await shop.fail([{ id: 'late' }]);
    await shop.again(3);
    for (const path of ['redrives', 'dead-letters/delete']) {
      const refused = await shop.act('POST', path, before);
      expect(refused.status).toBe(409);
      expect(await json(refused)).toMatchObject({
        error: expect.stringContaining('3 now, 2 then'),
        plan: { count: 3 },
      });
    }
    expect((await shop.get('dead-letters')).count).toBe(3);
    const [{ key }] = (await shop.get('dead-letters')).letters;
    shop.orders.fails = false;
    await shop.act('POST', 'redrives', await seen(shop, `key:${key}`));
    expect(await ended(shop)).toMatchObject({ result: { done: 1 } });
    await shop.again(2);
    expect((await shop.get('dead-letters')).count).toBe(2);
  });

  test('are deleted by what was shown; above a hundred their number is typed', async () => {
    const shop = await made(orders(101));
    const all = await seen(shop);
    expect((await shop.act('POST', 'dead-letters/delete', all)).status).toBe(400);
    expect((await shop.act('POST', 'dead-letters/delete', { ...all, typed: 100 })).status).toBe(400);
    expect(await json(await shop.act('POST', 'dead-letters/delete', { ...all, typed: 101 }))).toEqual({ done: 101 });
    expect((await shop.get('dead-letters')).count).toBe(0);
    expect(await shop.messaging.deadLetters.count()).toBe(0);
  });

  test('are listed in pages that follow each other', async () => {
    const shop = await made(orders(120));
    const first = await shop.get('dead-letters');
    const second = await shop.get(`dead-letters?after=${first.next}`);
    const third = await shop.get(`dead-letters?after=${second.next}`);
    expect([first, second, third].map(({ letters }) => letters.length)).toEqual([50, 50, 20]);
    expect(third.next).toBeUndefined();
    expect(
      new Set([first, second, third].flatMap(({ letters }) => letters.map(({ key }: { key: string }) => key))).size,
    ).toBe(120);
  });
});

test('a redrive goes on while nobody looks, one at a time for a queue, and is stopped after its batch', async () => {
  const shop = await Shop.open();
  await shop.fail(orders(60));
  await shop.act('POST', 'looks', { queue: DLQ });
  shop.orders.fails = false;
  const wrong = { canary: { stages: 'many' } };
  const refused = await shop.act('POST', 'redrives', { ...(await seen(shop)), options: wrong });
  expect([refused.status, (await json(refused)).error]).toEqual([
    400,
    expect.stringContaining('redrive.canary.stages'),
  ]);
  const started = await json(await shop.act('POST', 'redrives', { ...(await seen(shop)), options: { rateLimit: 1 } }));
  expect(started).toMatchObject({ state: 'running', count: 60, startedBy: 'somebody' });
  expect((await shop.act('POST', 'redrives', await seen(shop))).status).toBe(409);
  expect((await shop.act('DELETE', `redrives/${started.id}`)).status).toBe(200);
  expect(await ended(shop)).toMatchObject({ id: started.id, result: { stopped: 'aborted' } });
  expect((await shop.act('DELETE', 'redrives/unknown')).status).toBe(404);
  const { result } = (await shop.get('redrives'))[0];
  expect(shop.orders.handled.length + (await shop.messaging.deadLetters.count({ queue: DLQ }))).toBe(60);
  expect(result.done).toBeLessThan(60);
});

test('filters: by words of every kind, and a mistake is answered with how they are written', async () => {
  const shop = await Shop.open();
  await shop.fail([{ id: 'a', error: 'timeout of "card"' }, { id: 'b' }], 'order.created', { tenant: '7' });
  await shop.fail([{ id: 'c' }], 'invoice.paid');
  for (const queue of [DLQ, 'shop:invoice.*:dlq']) await shop.act('POST', 'looks', { queue });
  const found = async (filter: string): Promise<number> =>
    (await shop.get(`dead-letters?filter=${encodeURIComponent(filter)}`)).count;
  for (const [filter, count] of [
    ['', 3],
    ['error:StockError', 2],
    ['error:TypeError', 1],
    ['route:invoice.*', 1],
    ['route:invoice.paid', 1],
    ['reason:attempts-exhausted newer:1h', 3],
    ['older:1h', 0],
    ['header.tenant:7', 2],
    [`queue:${DLQ} "of \\"card\\""`, 1],
    ['timeout', 1],
    ['id:message-2', 1],
    ['before:2020-01-01T00:00:00Z', 0],
    ['after:2020-01-01T00:00:00Z', 3],
  ] as const)
    expect([filter, await found(filter)]).toEqual([filter, count]);
  for (const mistake of ['colour:red', 'newer:soon', 'before:yesterday', '"open', 'x'.repeat(2_001)]) {
    const answer = await shop.call('GET', `/messaging/api/v1/dead-letters?filter=${encodeURIComponent(mistake)}`);
    expect([mistake.slice(0, 20), answer.status]).toEqual([mistake.slice(0, 20), 400]);
  }
});

test('what is done is told to listeners, and to all open pages at once', async () => {
  const shop = await Shop.open();
  const operations: object[] = [];
  shop.messaging.events.on('operated', (operation) => void operations.push(operation));
  const live = await shop.call('GET', '/messaging/api/v1/live');
  const reader = live.body!.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read();
  await shop.act('POST', 'subscriptions/order.created/pause');
  const { value } = await reader.read();
  expect(value).toContain('"state":"paused"');
  expect(value).toContain('"action":"pause"');
  expect(value).not.toContain('"publisher":{"store"');
  await reader.cancel();
  expect(operations).toMatchObject([{ operator: 'somebody', action: 'pause', subject: 'order.created' }]);
  expect((await shop.act('POST', 'subscriptions/unknown/pause')).status).toBe(400);
});

test('twenty pages have a stream, and a page more is told to ask', async () => {
  const shop = await Shop.open();
  const open = await Promise.all(Array.from({ length: 21 }, () => shop.call('GET', '/messaging/api/v1/live')));
  expect(open.map(({ status }) => status).filter((status) => status === 503)).toHaveLength(1);
  for (const { body } of open) await body?.cancel();
  await waitFor(async () => {
    const again = await shop.call('GET', '/messaging/api/v1/live');
    await again.body?.cancel();
    return again.status === 200;
  }, 'room for another page');
  expect(await shop.get('snapshot')).toMatchObject({ overview: { service: 'shop' }, redrives: [], activity: [] });
});

test("the publisher's own dead letters are there unasked, and its retry queue", async () => {
  const shop = await Shop.open();
  expect(await shop.get('publisher')).toMatchObject({ store: 'memory', depth: 0, deadLetters: 0 });
});
