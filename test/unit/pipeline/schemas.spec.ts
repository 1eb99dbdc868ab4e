import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { z } from 'zod';
import { message } from '../../../lib/message/message-contract.js';
import type { StandardSchema } from '../../../lib/message/standard-schema.js';
import { issuesText } from '../../../lib/message/schema-issues.js';
import { Subscribe } from '../../../lib/consumer/subscription/subscribe.decorator.js';
import { start } from '../support/application.js';
import { confirmed, FakeTransport } from '../support/fake-transport.js';

const secret = 'hunter2-4111111111111111';

/** One and the same contract in two libraries. */
const orders: Record<string, StandardSchema<any, any>> = {
  zod: z.object({
    customer: z.object({ name: z.string(), password: z.string().max(8) }),
    items: z.array(z.object({ price: z.number().positive(), tags: z.array(z.enum(['a', 'b'])) })),
    at: z.iso.datetime().transform((text) => new Date(text)),
    count: z.string().transform(Number).pipe(z.number()),
  }),
  valibot: v.object({
    customer: v.object({ name: v.string(), password: v.pipe(v.string(), v.maxLength(8)) }),
    items: v.array(v.object({ price: v.pipe(v.number(), v.gtValue(0)), tags: v.array(v.picklist(['a', 'b'])) })),
    at: v.pipe(
      v.string(),
      v.isoTimestamp(),
      v.transform((text) => new Date(text)),
    ),
    count: v.pipe(v.string(), v.transform(Number), v.number()),
  }),
};

/** The same, asking a database that does not answer at once. */
const asynchronous: Record<string, StandardSchema<any, any>> = {
  zod: z.object({
    sku: z.string().refine(async (sku) => (await Promise.resolve(sku)).startsWith('known'), { error: 'unknown' }),
  }),
  valibot: v.objectAsync({
    sku: v.pipeAsync(
      v.string(),
      v.checkAsync(async (sku) => (await Promise.resolve(sku)).startsWith('known'), 'unknown'),
      v.transformAsync(async (sku) => sku.toUpperCase()),
    ),
  }),
};

const good = {
  customer: { name: 'Ada', password: 'short' },
  items: [{ price: 1, tags: ['a'] }],
  at: '2030-01-01T00:00:00Z',
  count: '7',
};

/** What a handler behind the schema saw, or what the dead letter says. */
async function handled(
  schema: StandardSchema<any, any>,
  payload: unknown,
): Promise<{ seen: any[]; dead?: string; lines: string[] }> {
  const app = await start({}, new FakeTransport());
  app.transport.answer = () => confirmed;
  const seen: unknown[] = [];
  const subscription = await app.subscribe((one) => void seen.push(one), { route: message('order.created', schema) });
  subscription.deliver({ body: JSON.stringify(payload) });
  await app.turn();
  const headers = app.transport.published.at(-1)?.message.headers;
  const dead = headers && `${headers['messaging-reason'] as string} ${headers['messaging-error-message'] as string}`;
  return { seen, lines: app.lines, ...(dead !== undefined && { dead }) };
}

describe.each(Object.keys(orders))('a schema of %s', (library) => {
  test('makes of the payload what the handler gets', async () => {
    const { seen, dead } = await handled(orders[library], { ...good, more: 1 });
    expect(dead).toBeUndefined();
    expect(seen).toEqual([{ ...good, at: new Date(good.at), count: 7 }]);
  });

  test('says where a payload does not fit, through objects and arrays, and the handler is not called', async () => {
    const items = [good.items[0], { price: -5, tags: ['a', 'other'] }];
    const { seen, dead } = await handled(orders[library], { ...good, customer: { name: 1 }, items });
    expect(seen).toEqual([]);
    expect(dead).toMatch(/^invalid /);
    for (const path of ['customer.name: ', 'customer.password: ', 'items[1].price: ', 'items[1].tags[1]: '])
      expect(dead).toContain(path);
  });

  test('whose transformation does not fit the rest says so', async () => {
    const { dead } = await handled(orders[library], { ...good, count: 'many' });
    expect(dead).toMatch(/^invalid count: /);
  });

  test.each([
    ['a text that is too long', { ...good, customer: { name: 'Ada', password: secret } }],
    ['a text instead of a number', { ...good, items: [{ price: secret, tags: [] }] }],
    ['an unknown choice', { ...good, items: [{ price: 1, tags: [secret] }] }],
    ['a text that is no date', { ...good, at: secret }],
    ['a number instead of a text', { ...good, customer: { name: 4111111111111111, password: 'p' } }],
    ['no object at all', secret],
  ])('does not show what the payload holds: %s', async (_, payload) => {
    const { seen, dead, lines } = await handled(orders[library], payload);
    expect([seen, dead?.startsWith('invalid ')]).toEqual([[], true]);
    for (const shown of [dead!, ...lines]) expect(shown).not.toMatch(/hunter2|41111/);
  });

  test('may be asynchronous', async () => {
    const fits = await handled(asynchronous[library], { sku: 'known-1' });
    expect(fits.seen).toEqual([{ sku: library === 'zod' ? 'known-1' : 'KNOWN-1' }]);
    const not = await handled(asynchronous[library], { sku: 'x-1' });
    expect([not.seen, not.dead]).toEqual([[], 'invalid sku: unknown']);
  });

  test('stands in a decorator by itself, without further options', async () => {
    class Handler {
      @Subscribe(message('order.created', orders[library]))
      handle(): void {}
    }
    const { messaging } = await start();
    const [request] = Reflect.getMetadata(
      Symbol.for('nestjs-messaging:subscriptions'),
      Handler.prototype,
      'handle',
    ) as Parameters<typeof messaging.definitions.define>;
    expect(messaging.definitions.define(request)!.validations).toHaveLength(1);
  });
});

describe('what a schema says', () => {
  test('keeps its own words and limits', () => {
    const payload = { age: 17, kind: 'text', note: 'a' };
    const tell = (text: string, ...path: string[]): string => issuesText([{ message: text, path }], payload);
    expect(tell('Expected >=18 but received 17', 'age')).toBe('age: Expected >=18 but received …');
    expect(tell('must be a text', 'age')).toBe('age: must be a text');
    expect(tell('not "text"', 'age')).toBe('age: not …');
    expect(tell('must be at least 170', 'age')).toBe('age: must be at least 170');
    expect(tell('a note is a must', 'note')).toBe('note: a note is a must');
  });

  test('is looked through in bounded time, whatever the payload', () => {
    const payload = { rows: Array.from({ length: 200_000 }, (_, n) => `row ${n}`) };
    expect(issuesText([{ message: 'too many', path: ['rows'] }], payload)).toBe('rows: too many');
  });
});
