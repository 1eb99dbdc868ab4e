import { describe, expect, test } from '@jest/globals';
import { bounded } from '../../../../lib/consumer/schedule/concurrency.js';
import type { HandledSingly } from '../../../../lib/consumer/subscription/handled.js';
import { mergeByQueue } from '../../../../lib/consumer/subscription/router.js';
import { defineSubscription } from '../../../../lib/consumer/subscription/subscription-definition.js';
import type { SubscribeRequest } from '../../../../lib/consumer/subscription/subscription-options.js';
import { message } from '../../../../lib/message/message-contract.js';
import { matchesPattern, overlap } from '../../../../lib/transport/topic-pattern.js';
import { MessageContext } from '../../../../lib/pipeline/message-context.js';
import type { Outcome } from '../../../../lib/pipeline/outcome.js';
import { exponential } from '../../../../lib/retry/backoff.js';
import { start } from '../../support/application.js';
import { nestEnvelope } from '../../../../lib/serializers/nest-envelope.js';
import { FakeDelivery, FakeTransport, confirmed } from '../../support/fake-transport.js';

const defaults = {
  service: 'orders',
  instance: 'host-1',
  system: 'fake',
  provision: true,
  retry: {},
  middleware: [],
  maxDelayMs: 1_000,
};

/** Merged handlers that say who they are. */
function merge(...requests: SubscribeRequest[]) {
  return mergeByQueue(
    requests.map((request, at) => ({
      definition: defineSubscription(request, defaults),
      handler: () => `handler ${at}`,
    })),
  ) as HandledSingly[];
}

/** Whom a message goes to; «no-handler» for none. */
function chosen(merged: ReturnType<typeof merge>, message: object): unknown {
  const result = merged[0].handler(new MessageContext(new FakeDelivery({ ...message }), 1));
  return typeof result === 'string' ? result : (result as Outcome).reason;
}

const name = 'orders';

describe('several handlers on one queue', () => {
  test('are one subscription with the bindings of all', () => {
    const merged = merge({ route: 'a', name }, { route: ['b', 'c.*'], name }, { route: 'elsewhere' });
    expect(merged.map(({ definition }) => [definition.topology.queue, definition.topology.patterns])).toEqual([
      ['orders:orders:queue', ['a', 'b', 'c.*']],
      ['orders:elsewhere:queue', ['elsewhere']],
    ]);
  });

  test('are chosen by route and by pattern, and nobody gets what is not his', () => {
    const merged = merge({ route: 'a', name }, { route: ['b.*', 'c.#'], name });
    const routes = ['a', 'b.x', 'c', 'c.x.y', 'b', 'b.x.y', 'd', ''];
    expect(routes.map((route) => chosen(merged, { route }))).toEqual([
      'handler 0',
      'handler 1',
      'handler 1',
      'handler 1',
      'no-handler',
      'no-handler',
      'no-handler',
      'no-handler',
    ]);
  });

  test('are chosen by an attribute with routeBy and handles', () => {
    const routeBy = ({ headers }: MessageContext): string | undefined => headers.kind as string | undefined;
    const merged = merge(
      { route: 'mail.#', name, routeBy, handles: 'welcome' },
      { route: 'mail.#', name, routeBy, handles: ['remind', 'remind.*'] },
    );
    const kinds = ['welcome', 'remind', 'remind.late', 'other', undefined];
    expect(kinds.map((kind) => chosen(merged, { route: 'mail.x', headers: { kind } }))).toEqual([
      'handler 0',
      'handler 1',
      'handler 1',
      'no-handler',
      'no-handler',
    ]);
  });

  test('each have the schema of their own contract', async () => {
    const contract = (route: string, fits: boolean) =>
      message(route, {
        '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => (fits ? { value } : { issues: [] }) },
      });
    const merged = merge({ route: contract('a', true), name }, { route: contract('b', false), name });
    const run = (route: string): Promise<unknown> =>
      Promise.resolve(merged[0].handler(new MessageContext(new FakeDelivery({ route }), 1)));
    expect(await run('a')).toBe('handler 0');
    expect(await run('b')).toMatchObject({ reason: 'invalid' });
  });

  test('one alone takes whatever its queue holds, unless it says what it is for', () => {
    expect(chosen(merge({ route: 'a' }), { route: 'b' })).toBe('handler 0');
    expect(chosen(merge({ route: 'a', handles: 'a' }), { route: 'b' })).toBe('no-handler');
  });

  test('equal options may be written twice', () => {
    const options = (): object => ({
      name,
      prefetch: 5,
      concurrency: bounded(2),
      retry: { backoff: exponential({ max: 9_000 }) },
      idempotent: { window: 86_400_000 },
    });
    const store = defineSubscription({ route: 'x', idempotent: true }, defaults).idempotent!.store;
    const once = { ...defaults, idempotencyStore: store };
    const both = ['a', 'b'].map((route) => ({
      definition: defineSubscription({ route, ...options() }, once),
      handler: () => 1,
    }));
    expect(mergeByQueue(both)).toHaveLength(1);
  });
});

describe('what cannot share a queue', () => {
  test.each<[string, SubscribeRequest, SubscribeRequest]>([
    ['the same route', { route: 'a' }, { route: 'a' }],
    ['a route and a pattern for it', { route: 'order.created', name }, { route: 'order.*', name }],
    ['patterns with a route in common', { route: 'order.*', name }, { route: '#.created', name }],
    ['the same attribute', { route: 'a', name, handles: 'x' }, { route: 'b', name, handles: ['y', 'x'] }],
  ])('%s: give one a «name»', (_, one, other) => {
    expect(() => merge(one, other)).toThrow(/each message would reach only one of them. Give one a «name»/);
    expect(() => merge(one, other)).toThrow(expect.objectContaining({ code: 'SUBSCRIPTION_CONFLICT' }));
  });

  test.each<[string, object, object]>([
    ['prefetch', { prefetch: 1 }, { prefetch: 2 }],
    ['concurrency', { concurrency: bounded(1) }, { concurrency: bounded(2) }],
    ['retry', { retry: { attempts: 1 } }, { retry: { attempts: 2 } }],
    ['retry', { retry: { backoff: exponential({ max: 5_000 }) } }, { retry: { backoff: exponential() } }],
    ['timeout', { timeout: 5 }, {}],
    ['limit', { limit: { concurrency: 1 } }, { limit: { concurrency: 2 } }],
    ['delay', { delay: 5 }, {}],
    ['dlq', { dlq: false }, {}],
    ['topic', { topic: 'x' }, {}],
    ['idempotent', { idempotent: true }, {}],
    ['middleware', { middleware: [() => 1] }, {}],
    ['routeBy', { routeBy: () => 'x' }, {}],
  ])('different options: %s', (option, one, other) => {
    const both = (): unknown => merge({ route: 'a', name, ...one }, { route: 'b', name, ...other });
    expect(both).toThrow(`differ in «${option}»`);
    expect(both).toThrow('or give one a «name»');
  });

  test('a queue of a name of its own, with two dead-letter queues', () => {
    expect(() => merge({ route: 'a', queue: 'q' }, { route: 'b', queue: 'q' })).toThrow('differ in «dlq»');
  });

  test.each([
    ['handles', { handles: [] }],
    ['handles', { handles: 'a..b' }],
    ['handles', { handles: 5 }],
    ['routeBy', { routeBy: 'kind' }],
  ])('a wrong %s: %p', (option, more) => {
    expect(() => defineSubscription({ route: 'a', ...(more as object) }, defaults)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option }),
    );
  });
});

test('a message without a handler goes to the dead letters at once, with the reason', async () => {
  const app = await start({}, new FakeTransport());
  app.transport.answer = () => confirmed;
  const subscription = await app.subscribe(() => 1, { handles: 'order.created' });
  const delivery = subscription.deliver({ route: 'order.paid' });
  await app.turn();
  expect(app.transport.last.message.headers).toMatchObject({
    'messaging-reason': 'no-handler',
    'messaging-error-code': 'NO_HANDLER',
    'messaging-error-message': '«orders:order.created:queue» has no handler for «order.paid»',
  });
  expect(delivery.settlements).toEqual(['ack']);
});

describe('patterns', () => {
  const WORDS = ['a', 'b', '*', '#'];
  const all = (words: readonly string[], length: number): string[][] =>
    length === 0 ? [[]] : all(words, length - 1).flatMap((rest) => words.map((word) => [...rest, word]));
  const upTo = (words: readonly string[], most: number): string[] =>
    Array.from({ length: most }, (_, at) => all(words, at + 1)).flatMap((some) => some.map((one) => one.join('.')));
  const routes = upTo(['a', 'b', 'c'], 4);
  /** By regular expression. */
  const fits = (pattern: string, route: string): boolean => {
    const parts = pattern.split('.').map((word) => (word === '#' ? '(\\w+ )*' : word === '*' ? '\\w+ ' : `${word} `));
    return new RegExp(`^${parts.join('')}$`).test(
      route
        .split('.')
        .map((word) => `${word} `)
        .join(''),
    );
  };

  test('match as the broker’s do', () => {
    for (const pattern of upTo(WORDS, 3))
      for (const route of routes)
        if (matchesPattern(pattern, route) !== fits(pattern, route)) throw new Error(`${pattern} and ${route}`);
  });

  test('overlap when there is a route for both', () => {
    const patterns = upTo(WORDS, 3);
    for (const one of patterns) {
      const mine = new Set(routes.filter((route) => fits(one, route)));
      for (const other of patterns) {
        const common = routes.some((route) => mine.has(route) && fits(other, route));
        // Both «#»-only patterns also share the empty route, which no publish has.
        if (common !== overlap(one, other)) throw new Error(`${one} and ${other}: ${overlap(one, other)}`);
      }
    }
  });
});

describe('the serializer of a queue', () => {
  const [one, other] = [nestEnvelope(), nestEnvelope()];
  const of = (request: SubscribeRequest) => merge(request)[0].definition.serializer;

  test('is that of the subscription, else that of its contracts', () => {
    expect(of({ route: 'a' })).toBeUndefined();
    expect(of({ route: message('a', { serializer: one }) })).toBe(one);
    expect(of({ route: message('a', { serializer: one }), serializer: other })).toBe(other);
    const both = [message('a', { serializer: one }), message('b', { serializer: one })];
    expect(of({ route: both, name })).toBe(one);
  });

  test('is one: contracts and subscriptions that differ are refused, with the remedy', () => {
    const route = [message('a', { serializer: one }), message('b', { serializer: other })];
    expect(() => of({ route, name })).toThrow(/«serializer».*one that reads the bodies of all/);
    expect(() => of({ route: [route[0], 'b'], name })).toThrow(/«serializer»/);
    expect(of({ route, name, serializer: one })).toBe(one);
    expect(() => merge({ route: 'a', name, serializer: one }, { route: 'b', name, serializer: other })).toThrow(
      /differ in «serializer»/,
    );
    expect(() => of({ route: 'a', serializer: {} as never })).toThrow(/serialize\(\)/);
  });
});
