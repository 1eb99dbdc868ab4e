import { describe, expect, test } from '@jest/globals';
import { bounded } from '../../../../lib/consumer/schedule/concurrency.js';
import { instanceName } from '../../../../lib/consumer/subscription/exclusive-queue.js';
import { partitioned } from '../../../../lib/consumer/schedule/partitioned.js';
import { Subscribe, subscriptionsOf } from '../../../../lib/consumer/subscription/subscribe.decorator.js';
import {
  defineSubscription,
  subscriptionName,
  type SubscriptionDefinition,
} from '../../../../lib/consumer/subscription/subscription-definition.js';
import type { SubscribeRequest } from '../../../../lib/consumer/subscription/subscription-options.js';
import { message } from '../../../../lib/message/message-contract.js';
import { start } from '../../support/application.js';

function define(request: SubscribeRequest, defaults: object = {}): SubscriptionDefinition {
  return defineSubscription(request, {
    service: 'orders',
    instance: 'host-1',
    system: 'rabbitmq',
    provision: true,
    retry: {},
    middleware: [],
    maxDelayMs: 1_000,
    ...defaults,
  });
}

describe('a subscription is its queue', () => {
  test('queue, dead-letter queue and its route are made of group and name', () => {
    expect(define({ route: 'order.created' })).toMatchObject({
      name: 'order.created',
      topology: {
        queue: 'orders:order.created:queue',
        patterns: ['order.created'],
        deadLetter: { queue: 'orders:order.created:dlq', route: 'orders:order.created:dlq' },
        provision: true,
      },
      prefetch: 10,
      concurrency: { kind: 'unbounded' },
      timeoutMs: undefined,
      delayMs: 0,
    });
    expect(define({ route: 'order.created' }).topology).not.toHaveProperty('topic');
  });

  test.each<[string, SubscribeRequest, object]>([
    [
      'name',
      { route: 'order.*', name: 'all' },
      {
        queue: 'orders:all:queue',
        patterns: ['order.*'],
        deadLetter: { queue: 'orders:all:dlq', route: 'orders:all:dlq' },
      },
    ],
    ['several routes, each once', { route: ['a.b', { route: 'c.#' }, 'a.b'], name: 'n' }, { patterns: ['a.b', 'c.#'] }],
    [
      'group',
      { route: 'r', group: 'audit' },
      { queue: 'audit:r:queue', deadLetter: { queue: 'audit:r:dlq', route: 'audit:r:dlq' } },
    ],
    [
      'queue, verbatim',
      { route: 'r', queue: 'legacy' },
      { queue: 'legacy', deadLetter: { queue: 'orders:r:dlq', route: 'orders:r:dlq' } },
    ],
    ['topic', { route: 'r', topic: 'billing' }, { topic: 'billing' }],
    [
      'dead-letter queue',
      { route: 'r', dlq: { queue: 'dead' } },
      { deadLetter: { queue: 'dead', route: 'orders:r:dlq' } },
    ],
    [
      'dead-letter route',
      { route: 'r', dlq: { route: 'gone' } },
      { deadLetter: { queue: 'orders:r:dlq', route: 'orders:gone' } },
    ],
    [
      'the broker’s own options',
      { route: 'r', rabbitmq: { queueType: 'quorum' } },
      { native: { queueType: 'quorum' } },
    ],
  ])('every name can be overridden: %s', (_, request, topology) => {
    expect(define(request).topology).toMatchObject(topology);
  });

  test('dlq: false has no dead-letter queue', () => {
    expect(define({ route: 'r', dlq: false }).topology).not.toHaveProperty('deadLetter');
  });

  test('bind: false binds nothing, and knows its routes all the same', () => {
    const { routes, topology } = define({ route: 'r', queue: 'theirs', bind: false });
    expect([routes, topology.queue, topology.patterns]).toEqual([['r'], 'theirs', []]);
  });

  test('exclusive has a queue of this process, and the dead letters of all', () => {
    const { name, topology } = define({ route: 'r', exclusive: true });
    expect(name).toBe('r');
    expect(topology).toMatchObject({
      queue: 'orders:r:host-1:queue',
      deadLetter: { queue: 'orders:r:dlq', route: 'orders:r:dlq' },
      exclusive: { expiresMs: 300_000 },
    });
    expect(define({ route: 'r', exclusive: { expires: 2_000 } }).topology.exclusive).toEqual({ expiresMs: 2_000 });
    for (const exclusive of [false, undefined])
      expect(define({ route: 'r', exclusive }).topology).not.toHaveProperty('exclusive');
  });

  test('exclusive is refused where others would have to make or share its queue', () => {
    expect(() => define({ route: 'r', exclusive: true }, { provision: false })).toThrow(/«provision: false»/);
    const partitioning = { option: 'rabbitmq.partitions', splitBy: () => ({ count: 2, distribute: true }) };
    const split = { route: 'r', exclusive: true, rabbitmq: {}, concurrency: partitioned() } as const;
    expect(() => define(split, { partitioning })).toThrow(/«rabbitmq.partitions»/);
  });

  test('no two applications that run have one name, and each begins with its host', () => {
    const [one, other] = [instanceName('web.example:1'), instanceName('web.example:1')];
    expect(one).toMatch(/^web-example-1-[0-9a-f]{8}$/);
    expect(one).not.toBe(other);
    expect(instanceName('h'.repeat(255)).length).toBeLessThan(80);
  });

  test('another broker’s options are not its own', () => {
    expect(
      define({ route: 'r', rabbitmq: { queueType: 'classic' } }, { system: 'memory' }).topology,
    ).not.toHaveProperty('native');
  });

  test('the options under the name of the transport in use are its own', () => {
    const request = { route: 'r', rabbitmq: { queueType: 'classic' }, memory: { maxMessages: 5 } } as const;
    expect(define(request).topology.native).toEqual({ queueType: 'classic' });
    expect(define(request, { system: 'memory' }).topology.native).toEqual({ maxMessages: 5 });
    const other = { route: 'r', pulsar: { acks: 1 } };
    expect(define(other, { system: 'pulsar' }).topology.native).toEqual({ acks: 1 });
    expect(() => define(other)).toThrow(expect.objectContaining({ option: 'subscription.pulsar' }));
    expect(() => define({ route: 'r', rabbitmq: 5 as never })).toThrow(expect.objectContaining({ option: 'rabbitmq' }));
  });

  test('several routes need a name', () => {
    expect(() => subscriptionName({ route: ['a', 'b'] })).toThrow(
      expect.objectContaining({
        code: 'SUBSCRIPTION_CONFLICT',
        message: expect.stringContaining('(a, b) needs a «name»'),
      }),
    );
  });
});

describe('a bad option is refused with its name, its value and what is allowed', () => {
  test.each<[string, object, string]>([
    ['', { route: '' }, 'a text of 1 to 255 bytes'],
    ['', { route: undefined }, 'a text of 1 to 255 bytes'],
    ['', { route: 'x'.repeat(256) }, 'a text of 1 to 255 bytes'],
    ['', { route: 'a..b' }, 'words separated by dots'],
    ['', { route: 'a.b*' }, 'stand alone'],
    ['', { route: [] }, 'at least one route'],
    ['prefetch', { prefetch: 0 }, 'a whole number from 1 to 65535'],
    ['prefetch', { prefetch: 65_536 }, 'a whole number from 1 to 65535'],
    ['prefetch', { prefetch: '5' }, 'a whole number from 1 to 65535'],
    ['name', { name: 'a:b' }, 'without «:»'],
    ['group', { group: 'a:b' }, 'without «:»'],
    ['group', { group: '' }, 'a text'],
    ['queue', { queue: 'x'.repeat(256) }, 'a text of 1 to 255 bytes'],
    ['bind', { bind: 'no' }, 'true or false'],
    ['topic', { bind: false, topic: 'theirs' }, 'left out beside «bind: false»'],
    ['exclusive', { exclusive: 'yes' }, 'true, false, or { expires? }'],
    ['exclusive', { exclusive: null }, 'true, false, or { expires? }'],
    ['exclusive.expire', { exclusive: { expire: 5_000 } }, 'nothing of that name'],
    ['exclusive.expires', { exclusive: { expires: 999 } }, 'a whole number from 1000'],
    ['queue', { exclusive: true, queue: 'theirs' }, 'left out beside «exclusive»'],
    [
      'exclusive.expires',
      { exclusive: { expires: 5_000 }, killSwitch: { failures: 1, of: 2, probeAfter: 5_000 } },
      'more than «killSwitch.probeAfter» (5000)',
    ],
    ['topic', { topic: 5 }, 'a text'],
    ['dlq', { dlq: 'yes' }, 'true, false, or { queue?, route? }'],
    ['dlq', { dlq: null }, 'true, false, or { queue?, route? }'],
    ['dlq.queue', { dlq: { queue: '' } }, 'a text'],
    ['dlq.route', { dlq: { route: 5 } }, 'a text'],
    ['dlq.queu', { dlq: { queu: 'x' } }, 'nothing of that name'],
    ['concurrency', { concurrency: 5 }, 'bounded(n), unbounded() or partitioned({ … })'],
    ['concurrency', { concurrency: null }, 'bounded(n), unbounded() or partitioned({ … })'],
    ['timeout', { timeout: 0 }, 'a number from 1'],
    ['delay', { delay: 1_001 }, 'a number from 0 to 1000'],
    ['delay', { delay: -1 }, 'a number from 0 to 1000'],
    ['middleware', { middleware: [5] }, 'an array of functions'],
    ['retry.attempts', { retry: { attempts: 0 } }, 'a whole number, 1 or more'],
    ['retry.immediate', { retry: { immediate: -1 } }, 'a whole number, 0 or more'],
    ['retry.immediate', { retry: { attempts: 3, immediate: 3 } }, 'at most 2, the retries that 3 «attempts» leave'],
    ['retry.only', { retry: { only: [TypeError], unrecoverable: [TypeError] } }, 'not among «unrecoverable» as well'],
    ['bounded(limit)', { prefetch: 4, concurrency: bounded(5) }, 'at most the prefetch, 4'],
    [
      'partitioned.maxHold',
      { concurrency: partitioned({ maxHold: 4_999 }), retry: { backoff: 5_000 } },
      'at least 5000, the longest wait before the first retry',
    ],
    [
      'killSwitch.probeAfter',
      { concurrency: partitioned({ maxHold: 5_000 }), killSwitch: { failures: 3, probeAfter: 5_000 } },
      'less than «maxHold» of partitioned(…), 5000',
    ],
    ['retry.backoff', { retry: { backoff: 'slow' } }, 'exponential({…})'],
    ['backoff.ms', { retry: { backoff: -5 } }, 'a number of milliseconds'],
    ['retry.unrecoverable', { retry: { unrecoverable: ['Error'] } }, 'an array of error classes'],
    ['retry.only', { retry: { only: 5 } }, 'an array of error classes'],
    ['retry.attemps', { retry: { attemps: 3 } }, 'nothing of that name'],
    ['retry', { retry: 5 }, 'an object'],
    ['subscription.prefetchCount', { prefetchCount: 5 }, 'nothing of that name; there are: route, dlq, prefetch'],
  ])('%s %j', (option, request, allowed) => {
    const failure = expect.objectContaining({
      code: 'INVALID_OPTION',
      option: option || 'route',
      message: expect.stringContaining(allowed),
    });
    expect(() => define({ route: 'r', ...request })).toThrow(failure);
  });

  test('messages and their dead letters cannot share one queue', () => {
    expect(() => define({ route: 'r', dlq: { queue: 'orders:r:queue' } })).toThrow(
      expect.objectContaining({ code: 'SUBSCRIPTION_CONFLICT', message: expect.stringContaining('orders:r:queue') }),
    );
  });
});

describe('@Subscribe', () => {
  class Handlers {
    @Subscribe('order.created', { dlq: true, prefetch: 20 })
    @Subscribe({ route: 'order.paid', dlq: false })
    @Subscribe(['a', 'b'], { name: 'ab' })
    @Subscribe({ route: 'typed' })
    handle(): void {}

    plain(): void {}
  }

  test('takes both spellings, several on one method, in the order they are read', () => {
    expect(subscriptionsOf(Handlers.prototype, 'handle')).toEqual([
      { route: 'order.created', dlq: true, prefetch: 20 },
      { route: 'order.paid', dlq: false },
      { route: ['a', 'b'], name: 'ab' },
      { route: 'typed' },
    ]);
    expect(subscriptionsOf(Handlers.prototype, 'plain')).toEqual([]);
  });

  test.each([
    [() => Subscribe('')],
    [() => Subscribe(['a', 'b'])],
    [() => Subscribe('a', null as never)],
    [() => Subscribe('a', 'b' as never)],
    [() => Subscribe(undefined as never)],
  ])('refuses at once what cannot be: %s', (decorate) => {
    expect(decorate).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/INVALID_OPTION|SUBSCRIPTION_CONFLICT/) }),
    );
  });
});

test('a contract may be spread into the options of @Subscribe: its schema stays with its route', () => {
  const schema = { '~standard': { version: 1, vendor: 'own', validate: (value: unknown) => ({ value }) } } as const;
  class Handlers {
    @Subscribe({ ...message('order.created', schema), prefetch: 20 })
    handle(): void {}
  }
  const [request] = subscriptionsOf(Handlers.prototype, 'handle');
  expect(request).toEqual({ route: { route: 'order.created', schema }, prefetch: 20 });
  expect(define(request)).toMatchObject({ prefetch: 20, validations: [expect.any(Function)] });
});

describe('overrides from the module’s options', () => {
  test('replace what the decorator says; a value that is undefined leaves it', async () => {
    const app = await start({
      subscriptions: {
        'order.created': { prefetch: 3, timeout: undefined, concurrency: bounded(2) },
        n: { dlq: false },
      },
    });
    const { messaging } = app;
    expect(messaging.definitions.define({ route: 'order.created', prefetch: 20, timeout: 70 })).toMatchObject({
      prefetch: 3,
      timeoutMs: 70,
      concurrency: { limit: 2 },
    });
    expect(messaging.definitions.define({ route: ['a', 'b'], name: 'n' })!.topology.deadLetter).toBeUndefined();
    expect(messaging.definitions.define({ route: 'constructor' })!.topology.queue).toBe('orders:constructor:queue');
  });

  test('false switches a subscription off', async () => {
    const app = await start({ subscriptions: { 'order.created': false } });
    expect(app.messaging.definitions.define({ route: 'order.created' })).toBeUndefined();
  });

  test('those that belong to no subscription are found', async () => {
    const app = await start({ subscriptions: { a: { prefetch: 1 }, b: false } });
    expect(app.messaging.definitions.unknownOverrides(new Set(['a']))).toEqual(['b']);
  });
});
