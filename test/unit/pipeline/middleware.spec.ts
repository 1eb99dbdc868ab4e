import { describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { Subscribe } from '../../../lib/consumer/subscription/subscribe.decorator.js';
import { message } from '../../../lib/message/message-contract.js';
import type { SchemaIssue, StandardSchema } from '../../../lib/message/standard-schema.js';
import { logging } from '../../../lib/pipeline/middleware/logging.js';
import { timing } from '../../../lib/pipeline/middleware/timing.js';
import { validation } from '../../../lib/pipeline/middleware/validation.js';
import { Outcome } from '../../../lib/pipeline/outcome.js';
import { start } from '../support/application.js';
import { FakeTransport, confirmed } from '../support/fake-transport.js';

interface Order {
  readonly item: string;
  readonly amount: number;
}

/** By hand: an item, and an amount that may come as text. */
const orderSchema: StandardSchema<{ item: string; amount: number | string }, Order> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      const { item, amount } = value as Record<string, unknown>;
      const issues: SchemaIssue[] = [];
      if (typeof item !== 'string') issues.push({ message: 'must be a text', path: ['item'] });
      if (!Number.isFinite(Number(amount))) issues.push({ message: 'must be a number', path: [{ key: 'amount' }] });
      return issues.length > 0 ? { issues } : { value: { item: item as string, amount: Number(amount) } };
    },
  },
};

function schema(validate: StandardSchema['~standard']['validate']): StandardSchema {
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

async function subscribed(options: object, handler: (payload: any) => unknown = () => undefined) {
  const app = await start({}, new FakeTransport());
  app.transport.answer = () => confirmed;
  const seen: unknown[] = [];
  const subscription = await app.subscribe((payload) => {
    seen.push(payload);
    return handler(payload);
  }, options);
  return { app, seen, subscription };
}

describe('validation', () => {
  test('hands on what the schema makes of the payload', async () => {
    const { app, seen, subscription } = await subscribed({ middleware: [validation(orderSchema)] });
    const delivery = subscription.deliver({ body: '{"item":"book","amount":"3","other":1}' });
    await app.turn();
    expect(seen).toEqual([{ item: 'book', amount: 3 }]);
    expect(delivery.settlements).toEqual(['ack']);
  });

  test('keeps what does not fit as a dead letter that says where, without a call or a retry', async () => {
    const { app, seen, subscription } = await subscribed({ route: message('order.created', orderSchema) });
    subscription.deliver({ body: '{"amount":"x"}' });
    await app.turn();
    expect(seen).toEqual([]);
    expect(app.transport.last).toMatchObject({
      to: { kind: 'dead-letter' },
      message: {
        headers: {
          'messaging-reason': 'invalid',
          'messaging-error-code': 'INVALID_PAYLOAD',
          'messaging-error-message': 'item: must be a text; amount: must be a number',
        },
      },
    });
  });

  test.each<[string, SchemaIssue[], string]>([
    ['a path of names and numbers', [{ message: 'no', path: ['items', 0, 'price'] }], 'items[0].price: no'],
    ['no path', [{ message: 'no' }], 'no'],
    ['many', Array.from({ length: 9 }, () => ({ message: 'no' })), 'no; no; no; no; no; and 4 more'],
  ])('tells %s', async (_, issues, text) => {
    const { app, subscription } = await subscribed({ middleware: [validation(schema(async () => ({ issues })))] });
    subscription.deliver();
    await app.turn();
    expect(app.transport.last.message.headers).toMatchObject({ 'messaging-error-message': text });
  });

  test('of a schema that throws, the call has failed and is retried', async () => {
    const broken = schema(() => {
      throw new Error('its database is down');
    });
    const { app, subscription } = await subscribed({ middleware: [validation(broken)] });
    subscription.deliver();
    await app.turn();
    expect(app.transport.last.message.headers).toMatchObject({ 'messaging-attempt': 2 });
  });

  test('by several contracts in one subscription: each message by its own', async () => {
    const route = [message('order.*', orderSchema), message('mail.sent')];
    const { app, seen, subscription } = await subscribed({ route, name: 'both' });
    subscription.deliver({ route: 'mail.sent', body: '{}' });
    subscription.deliver({ route: 'order.paid', body: '{}' });
    await app.turn();
    expect(seen).toEqual([{}]);
    expect(app.transport.last.message.headers).toMatchObject({ 'messaging-reason': 'invalid' });
  });

  test.each([undefined, null, {}, { '~standard': {} }])('refuses %p for a schema', (wrong) => {
    expect(() => validation(wrong as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
    if (wrong !== undefined)
      expect(() => message('a', wrong as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});

describe('a contract', () => {
  const orderCreated = message('order.created', orderSchema);

  test('is a route to publish on and to subscribe to', async () => {
    const app = await start({}, new FakeTransport());
    app.transport.answer = () => confirmed;
    await app.publisher.publish(orderCreated, { item: 'book', amount: '3' });
    expect(app.transport.last).toMatchObject({ to: { kind: 'route', route: 'order.created' } });
    const { queue } = await app.messaging.subscribe({ route: orderCreated }, (order) => order.amount.toFixed());
    expect(queue).toBe('orders:order.created:queue');
    expect(() => message('a..b')).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });

  test('types what is published and handled', async () => {
    const app = await start({}, new FakeTransport());
    const plain = message<{ n: number }>('plain');
    // Never run: the compiler is asked.
    const wrong = (): unknown[] => [
      // @ts-expect-error a text is no number
      app.publisher.publish(plain, { n: 'x' }),
      // @ts-expect-error its item is missing
      app.publisher.emit(orderCreated, { amount: 1 }),
      // @ts-expect-error the payload has another type
      app.messaging.subscribe({ route: plain }, (payload: { n: string }) => payload),
      app.messaging.subscribe({ route: plain }, ({ n }) => n.toFixed()),
      app.messaging.subscribe<{ own: string }>({ route: 'untyped' }, ({ own }) => own.length),
      app.publisher.publish('untyped', 5),
    ];
    class Handlers {
      @Subscribe(plain)
      right({ n }: { n: number }): string {
        return n.toFixed();
      }
      // @ts-expect-error the payload has another type
      @Subscribe(plain)
      wrong({ n }: { n: string }): string {
        return n;
      }
    }
    expect([wrong, Handlers]).toBeDefined();
  });
});

describe('timing', () => {
  test('tells how long each call took, and its error', async () => {
    const clock = new ManualClock();
    const told: unknown[] = [];
    const error = new Error('x');
    const middleware = timing((context, ms, failure) => void told.push([context.id, ms, failure]), clock);
    const { app, subscription } = await subscribed({ middleware: [middleware] }, async ({ n }: { n: number }) => {
      await clock.advance(30);
      if (n === 2) throw error;
    });
    subscription.deliver({ id: 'a' });
    await app.turn();
    await app.turn();
    subscription.deliver({ id: 'b', body: '{"n":2}' });
    await app.turn();
    await app.turn();
    expect(told).toEqual([
      ['a', 30, undefined],
      ['b', 30, error],
    ]);
    expect(() => timing(5 as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});

describe('logging', () => {
  test('writes a line per call, without payload and passwords', async () => {
    const lines: string[] = [];
    const to = (level: string) => (line: string) => void lines.push(`${level} ${line}`);
    const logger = { log: to('log'), warn: to('warn'), error: to('error'), debug: to('debug') };
    const middleware = [logging({ level: 'log', logger, clock: new ManualClock() })];
    const results: Record<number, () => unknown> = {
      1: () => 'fine',
      2: () => Outcome.retry(5),
      3: () => {
        throw new Error('no answer from amqp://user:secret@host');
      },
    };
    const { app, subscription } = await subscribed({ middleware }, ({ n }: { n: number }) => results[n]());
    for (const n of [1, 2, 3]) {
      subscription.deliver({ id: `m${n}`, body: `{"n":${n},"card":"4711"}` });
      await app.turn();
    }
    const queue = '«orders:order.created:queue»: order.created';
    expect(lines).toEqual([
      `log ${queue} m1, call 1, handled, 0 ms`,
      `log ${queue} m2, call 1, retry, 0 ms`,
      `warn ${queue} m3, call 1, failed: no answer from amqp://***@host, 0 ms`,
    ]);
  });

  test.each([{ level: 'warn' }, { logger: {} }, { log: 'x' }])('refuses %p', (options) => {
    expect(() => logging(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});
