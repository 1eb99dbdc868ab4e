import { describe, expect, test } from '@jest/globals';
import { partitioned, type PartitionKey } from '../../../../lib/consumer/schedule/partitioned.js';
import type { SubscribeRequest } from '../../../../lib/consumer/subscription/subscription-options.js';
import { jsonSerializer } from '../../../../lib/message/serializer.js';
import type { MessagingModuleOptions } from '../../../../lib/messaging.options.js';
import type { MessageContext } from '../../../../lib/pipeline/message-context.js';
import { Outcome } from '../../../../lib/pipeline/outcome.js';
import { start } from '../../support/application.js';
import { confirmed } from '../../support/fake-transport.js';

/** What is no text and no number, and how an error calls it. A promise that fails must not end the process either. */
const WRONG: readonly (readonly [string, () => unknown])[] = [
  ['an object', () => ({ ref: 's3cret' })],
  ['an array', () => ['s3cret']],
  ['a promise', async () => 's3cret'],
  ['a promise', () => Promise.reject(new Error('s3cret'))],
  ['NaN', () => NaN],
  ['Infinity', () => Infinity],
  ['a function', () => () => 's3cret'],
  ['a symbol', () => Symbol('s3cret')],
  ['a boolean', () => true],
];
const NONE = [undefined, null, ''];

/** Three different messages handled with these options: which were, and what became of each. */
async function handled(
  request: Partial<SubscribeRequest>,
  options: MessagingModuleOptions = {},
  handler: (payload: unknown, context: MessageContext) => unknown = () => undefined,
) {
  const app = await start({ retry: { attempts: 2, backoff: 0 }, ...options });
  app.transport.answer = () => confirmed;
  const settled = app.record('settled');
  const ids: string[] = [];
  const subscription = await app.subscribe((payload, context) => {
    ids.push(context.id);
    return handler(payload, context);
  }, request);
  for (const [at, id] of ['a', 'b', 'c'].entries()) subscription.deliver({ id, body: JSON.stringify({ at }) });
  for (let turn = 0; turn < 5; turn++) await app.turn();
  const errors = settled.map(({ error }) => error as (Error & { code: string }) | undefined);
  return { app, ids, outcomes: settled.map(({ outcome }) => outcome), errors };
}

const deadLettered = ['dead-letter', 'dead-letter', 'dead-letter'];
const acked = ['ack', 'ack', 'ack'];

describe.each<[string, (result: () => unknown) => Partial<SubscribeRequest>]>([
  ['idempotent.key', (key) => ({ idempotent: { key: key as () => string } })],
  ['partitioned.key', (key) => ({ concurrency: partitioned({ key: key as PartitionKey }) })],
  ['routeBy', (routeBy) => ({ routeBy: routeBy as () => string, handles: '#' })],
])('%s', (name, request) => {
  test.each(WRONG)('that gives %s is told so, and no message is taken for another', async (type, result) => {
    const { ids, outcomes, errors } = await handled(request(result));
    expect(ids).toEqual([]);
    expect(outcomes).toEqual(deadLettered);
    for (const error of errors) {
      expect(error!.code).toBe('INVALID_RESULT');
      expect(error!.message).toContain(`«${name}» gave ${type}; allowed: a text or a number`);
      expect(error!.message).not.toContain('s3cret');
    }
  });

  test('takes numbers as their text', async () => {
    for (const number of [0, -1.5, 7n]) {
      const { ids } = await handled(request(() => number));
      expect(ids[0]).toBe('a');
    }
  });
});

describe('a key that is none', () => {
  test.each(NONE)('of idempotent (%p): each message is handled, without a check', async (none) => {
    const { app, ids, outcomes } = await handled({ idempotent: { key: () => none } });
    expect(ids).toEqual(['a', 'b', 'c']);
    expect(outcomes).toEqual(acked);
    expect(app.messaging.health().consumers[0].idempotency).toMatchObject({ withoutKey: 3, duplicates: 0 });
  });

  test.each(NONE)('of partitioned (%p): each message is handled, and waits for none', async (none) => {
    const { ids } = await handled({ concurrency: partitioned({ key: () => none }) }, {}, () => new Promise(() => {}));
    expect(ids.length).toBeGreaterThan(1);
  });

  test.each(NONE)('of routeBy (%p): it has no handler', async (none) => {
    const { outcomes, errors } = await handled({ routeBy: () => none, handles: '#' });
    expect(outcomes).toEqual(deadLettered);
    expect(errors[0]!.code).toBe('NO_HANDLER');
  });
});

test.each([{ property: 'customer' }, { header: 'customer' }])(
  'a partitioned key %p that holds an object is told so: its order would be lost in silence',
  async (key) => {
    const app = await start();
    app.transport.answer = () => confirmed;
    const settled = app.record('settled');
    const subscription = await app.subscribe(() => undefined, { concurrency: partitioned({ key }) });
    subscription.deliver({ body: '{"customer":{"id":1}}', headers: { customer: { id: 1 } } });
    await app.turn();
    expect(settled).toMatchObject([{ outcome: 'dead-letter', error: { code: 'INVALID_RESULT' } }]);
  },
);

describe('idempotent.isDone', () => {
  test.each<[string, unknown]>([
    ['an array', []],
    ['an object', {}],
    ['a text', 'no'],
    ['a number', 1],
    ['null', null],
    ['undefined', undefined],
  ])('that gives %s is told so, and the message is not acked as done', async (type, result) => {
    const { ids, outcomes, errors } = await handled({ idempotent: { isDone: async () => result as boolean } });
    expect([ids, outcomes]).toEqual([[], deadLettered]);
    expect(errors[0]!.message).toBe(`«idempotent.isDone» gave ${type}; allowed: true or false`);
  });
});

describe('what a wait is told by', () => {
  const fails = (): never => {
    throw new Error('busy');
  };
  test.each<[string, unknown]>([
    ['a promise', Promise.resolve(5)],
    ['a promise', Promise.reject(new Error('s3cret'))],
    ['undefined', undefined],
    ['NaN', NaN],
    ['a text', '500'],
    ['a boolean', true],
    ['an object', {}],
  ])('a backoff that gives %s is told so, and is no hot loop', async (type, result) => {
    const { app, outcomes, errors } = await handled({ retry: { backoff: () => result as number } }, {}, fails);
    expect(outcomes).toEqual(deadLettered);
    expect(errors[0]!.message).toBe('busy');
    expect(app.logged('error')[0]).toContain(`«retry.backoff» gave ${type}; allowed: a number of milliseconds`);
  });

  test.each([undefined, NaN, '5', {}])('an Outcome for later takes no %p', (delay) => {
    for (const make of [Outcome.retry, Outcome.defer])
      expect(() => make(delay as number)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});

test.each([async () => ({}), async () => fail()])(
  'a serializer that gives a promise for a payload is told so',
  async (deserialize) => {
    const { ids, outcomes, errors } = await handled({}, { serializer: { ...jsonSerializer, deserialize } });
    expect([ids, outcomes]).toEqual([[], deadLettered]);
    expect(errors[0]).toMatchObject({ code: 'UNDECODABLE' });
    expect(errors[0]!.message).toContain('«serializer.deserialize» gave a promise');
  },
);

function fail(): never {
  throw new Error('s3cret');
}

test('a serializer that gives a promise for bytes is told so', async () => {
  const serialize = async (): Promise<never> => fail();
  const app = await start({ serializer: { ...jsonSerializer, serialize: serialize as never } });
  await expect(app.publisher.publish('order.created', {})).rejects.toMatchObject({
    code: 'SERIALIZATION',
    message: '«serializer.serialize» gave a promise; allowed: { body } with a Buffer',
  });
});

test('publish middleware that gives no receipt is told so', async () => {
  const app = await start({ publishMiddleware: [(async () => undefined) as never] });
  await expect(app.publisher.publish('order.created', {})).rejects.toMatchObject({
    code: 'INVALID_RESULT',
    message: expect.stringContaining('«publishMiddleware» gave undefined') as unknown,
  });
});

test.each([true, undefined, {}])(
  'a schema that gives %p is told so, at the publish and at the handler',
  async (result) => {
    const schema = { '~standard': { version: 1, vendor: 'own', validate: () => result as never } } as const;
    const { ids, outcomes, errors, app } = await handled({ route: { route: 'order.created', schema } });
    expect([ids, outcomes]).toEqual([[], deadLettered]);
    expect(errors[0]!.message).toContain('allowed: { value } or { issues }');
    await expect(app.publisher.publish({ route: 'order.created', schema }, {})).rejects.toThrow(
      /{ value } or { issues }/,
    );
  },
);

test('a batch handler that gives promises in an array is told so, and they end no process', async () => {
  const app = await start();
  app.transport.answer = () => confirmed;
  const settled = app.record('settled');
  await app.messaging.subscribeBatch({ route: 'order.created', size: 1 }, (() => [
    Promise.reject(new Error('s3cret')),
  ]) as never);
  app.transport.subscriptions[0].deliver();
  await app.turn();
  expect(settled).toMatchObject([{ outcome: 'retry', error: { code: 'MISSING_OUTCOME' } }]);
  expect((settled[0].error as Error).message).toContain('a promise, which is no Outcome,');
});

test('a dead-letter filter that gives a promise selects nothing: all would be deleted', async () => {
  const app = await start();
  await app.subscribe(() => undefined);
  const dead = app.transport.stored;
  dead.set('orders:order.created:dlq', [
    { id: 'a', route: 'order.created', body: Buffer.from('{}'), headers: {}, properties: {} },
  ]);
  const where = (async () => false) as never;
  await expect(app.messaging.deadLetters.delete({ where })).rejects.toMatchObject({
    code: 'INVALID_RESULT',
    message: '«selection.where» gave a promise; allowed: true or false',
  });
  expect(dead.get('orders:order.created:dlq')).toHaveLength(1);
});
