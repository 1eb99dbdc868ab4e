import { describe, expect, test } from '@jest/globals';
import { message } from '../../../lib/message/message-contract.js';
import type { SchemaResult, StandardSchema } from '../../../lib/message/standard-schema.js';
import type { Publisher } from '../../../lib/publisher/publisher.js';
import { start } from '../support/application.js';
import { confirmed } from '../support/fake-transport.js';

interface Order {
  readonly items: readonly { readonly amount: number }[];
}

function check(value: unknown): SchemaResult<Order> {
  const { items = [] } = value as Partial<Order>;
  const issues = items.flatMap(({ amount }, at) =>
    amount > 0 ? [] : [{ message: 'must be positive', path: ['items', { key: at }, 'amount'] }],
  );
  // What a schema makes of a value is for those who receive it.
  return issues.length > 0 ? { issues } : { value: { items: [] } };
}

function contractOf(validate: (value: unknown) => SchemaResult<Order> | Promise<SchemaResult<Order>>) {
  const schema: StandardSchema<Order, Order> = { '~standard': { version: 1, vendor: 'test', validate } };
  return message('order.created', schema);
}

const order = contractOf(check);
const later = contractOf((value) => Promise.resolve(check(value)));
const good: Order = { items: [{ amount: 1 }] };
const bad: Order = { items: [{ amount: 1 }, { amount: 0 }] };
const INVALID = {
  code: 'INVALID_PAYLOAD',
  message: 'The body for «order.created» does not fit its schema: items[1].amount: must be positive',
};

describe.each([
  ['at once', order],
  ['with a promise', later],
])('a contract whose schema answers %s', (_, contract) => {
  test('keeps a body that does not fit from being published, and says where; one that fits goes as it is', async () => {
    const app = await start();
    app.transport.answer = () => confirmed;
    await expect(app.publisher.publish(contract, bad)).rejects.toMatchObject(INVALID);
    expect(app.transport.batches).toEqual([]);
    await app.publisher.publish(contract, good);
    expect(app.transport.last.message.body.toString()).toBe(JSON.stringify(good));
    expect(app.publisher.emit(contract, bad)).toBe(true);
    await app.turn();
    expect(app.publisher.emitFailures).toBe(1);
    expect(app.transport.published).toHaveLength(1);
  });

  test('rejects that entry of publishMany, and the others are sent', async () => {
    const app = await start();
    app.transport.answer = () => confirmed;
    const results = await app.publisher.publishMany([
      { route: contract, body: good, id: 'a' },
      { route: contract, body: bad, id: 'b' },
      { route: 'plain', body: bad, id: 'c' },
      { route: contract, body: good, id: 'd' },
    ]);
    expect(results.map(({ id, outcome }) => [id, outcome])).toEqual([
      ['a', 'confirmed'],
      ['b', 'rejected'],
      ['c', 'confirmed'],
      ['d', 'confirmed'],
    ]);
    expect(results[1]).toMatchObject({ error: INVALID });
    expect(app.transport.publishedIds).toEqual(['a', 'c', 'd']);
  });
});

test('a body is checked before the publish middleware sees it', async () => {
  const seen: unknown[] = [];
  const app = await start({
    publishMiddleware: [
      (request, next) => {
        seen.push(request.body);
        return next({ ...request, body: 'encrypted' });
      },
    ],
  });
  app.transport.answer = () => confirmed;
  await expect(app.publisher.publish(order, bad)).rejects.toMatchObject(INVALID);
  await app.publisher.publish(order, good);
  expect(seen).toEqual([good]);
});

test('a schema that fails itself is told as such, with its cause', async () => {
  const app = await start();
  const boom = new Error('boom');
  for (const broken of [
    contractOf(() => {
      throw boom;
    }),
    contractOf(() => Promise.reject(boom)),
  ])
    await expect(app.publisher.publish(broken, good)).rejects.toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: 'The schema of «order.created» failed: boom',
      cause: boom,
    });
  const noSchema = { route: 'order.created', schema: { validate: true } };
  await expect(app.publisher.publish(noSchema, good)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    option: 'schema',
  });
});

test('a publisher that was closed during the check sends nothing', async () => {
  const app = await start();
  const publishing = app.publisher.publish(later, good);
  app.publisher.close();
  await expect(publishing).rejects.toMatchObject({ code: 'PUBLISHER_CLOSED' });
  expect(app.transport.batches).toEqual([]);
});

test('publishMany types each body by its own contract', () => {
  const paid = message<{ cents: number }>('order.paid');
  const orders: Order[] = [good];
  // Never called: the compiler is asked.
  const ask = (publisher: Publisher): unknown[] => [
    publisher.publishMany([
      { route: order, body: good },
      { route: paid, body: { cents: 1 }, key: 'k' },
      { route: 'plain', body: 'anything' },
    ]),
    publisher.publishMany(orders.map((body) => ({ route: order, body }))),
    publisher.publishMany([
      { route: order, body: good },
      // @ts-expect-error the cents are a number
      { route: paid, body: { cents: '1' } },
    ]),
    // @ts-expect-error an order has items
    publisher.publishMany([{ route: order, body: {} }]),
    // @ts-expect-error an order has items
    publisher.publishMany(orders.map(() => ({ route: order, body: { cents: 1 } }))),
    // @ts-expect-error there is no such option
    publisher.publishMany([{ route: 'plain', body: 1, delays: 5 }]),
  ];
  expect(ask).toBeInstanceOf(Function);
});
