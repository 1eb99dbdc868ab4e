import { afterEach, describe, expect, test } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  InvalidOptionError,
  memory,
  message,
  MessagingModule,
  type MessagingModuleOptions,
  Publisher,
  Subscribe,
  SubscribeBatch,
  SubscriptionConflictError,
} from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { RequeueModule } from 'nestjs-messaging/requeue';
import { resolveOptions } from '../../../lib/messaging.options.js';
import { boot, CapturedLog, closeApplications } from '../../e2e/support/application.js';

afterEach(closeApplications);

function errorOf(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error('Nothing was thrown');
}

const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => Promise.reject(new Error('It did not fail')),
    (error: Error) => error,
  );

const given = (options: object): MessagingModuleOptions => options;

describe('An unknown option', () => {
  test.each([
    [
      'a number',
      { prefech: 5 },
      /«subscription\.prefech» is 5; allowed: nothing of that name; there are: .*\. Did you mean «prefetch»\?/,
    ],
    ['a text whose meaning is clear', { gruop: 'audit' }, /«subscription\.gruop» is "audit".*Did you mean «group»\?/],
    [
      'a text that could be anything',
      { whatever: 'hunter2' },
      /is a value that is not shown, because it may be a secret; allowed: nothing of that name; there are: route/,
    ],
  ])('says its value, and what may have been meant: %s', async (_, options, expected) => {
    class Orders {
      @Subscribe('order.created', options as object)
      onCreated(): void {}
    }
    const error = await failure(boot({ imports: [MessagingModule.forRoot()], providers: [Orders] }));
    expect(error.message).toMatch(expected);
    expect(error.message).toMatch(/^Orders\.onCreated: /);
    expect(error.stack).toContain(error.message);
  });

  test.each([
    ['forRoot', () => MessagingModule.forRoot(given({ passwrod: 'geheim' }))],
    ['forRoot, a number', () => MessagingModule.forRoot(given({ pasword: 271828 }))],
    ['forRoot, a URL', () => MessagingModule.forRoot(given({ ulr: 'amqp://shop:geheim@mq' }))],
    ['forRoot, a name of the application', () => MessagingModule.forRoot(given({ brokerLogin: 'geheim' }))],
    ['rabbitmq', () => rabbitmq({ usr: 'geheim', url: 'amqp://mq' } as object)],
    ['nats', () => nats({ tokne: 'geheim' } as object)],
    ['RequeueModule', () => RequeueModule.forRoot({ dataDir: '/x', passwd: 'geheim' } as never)],
  ])('never shows what may be a secret: %s', (_, action) => {
    const error = errorOf(action);
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error.message).toMatch(/a value that is not shown/);
    expect(`${error.stack}`).not.toMatch(/geheim|271828/);
  });

  test('of a transport says what was meant as well', () => {
    expect(errorOf(() => rabbitmq({ exchagne: 'shop' } as object)).message).toMatch(
      /«rabbitmq\.exchagne» is "shop".*Did you mean «exchange»\?/,
    );
    expect(errorOf(() => memory({ maxMesages: 1 } as object)).message).toMatch(/«maxMesages» is 1.*«maxMessages»/);
  });
});

describe('An option that is undefined, as an environment variable that is not set makes it', () => {
  test.each([
    ['rabbitmq.url', () => rabbitmq({ url: undefined })],
    ['rabbitmq.urls', () => rabbitmq({ urls: undefined })],
    ['rabbitmq.vhost', () => rabbitmq({ url: 'amqp://mq', vhost: undefined })],
    ['rabbitmq.exchange', () => rabbitmq({ exchange: undefined })],
    ['service', () => MessagingModule.forRoot({ service: undefined })],
    ['nats.servers', () => nats({ servers: undefined })],
    ['nats.credentials', () => nats({ credentials: undefined })],
    ['nats.stream', () => nats({ stream: undefined })],
    ['servers', () => RequeueModule.forRoot({ dataDir: '/x', servers: undefined })],
    ['credsFile', () => RequeueModule.forRoot({ dataDir: '/x', credsFile: undefined })],
  ])('is refused where its default is another place or identity: %s', (option, action) => {
    expect(errorOf(action).message).toMatch(
      new RegExp(`^Option «${option}» is undefined; allowed: a value, or leave it out for .*environment variable`),
    );
  });

  test.each([
    ['rabbitmq.url', () => rabbitmq({ url: '' })],
    ['rabbitmq.url', () => rabbitmq({ url: 'amqp://' })],
    ['rabbitmq.url', () => rabbitmq({ urls: ['amqp://mq', undefined as never] })],
    ['rabbitmq.url', () => rabbitmq({ url: 'amqp://undefined:5672' })],
    ['rabbitmq.url', () => rabbitmq({ url: 'amqp://undefined:undefined@mq' })],
    ['nats.servers', () => nats({ servers: '' })],
    ['nats.servers', () => nats({ servers: ['nats://mq', undefined as never] })],
    ['nats.servers', () => nats({ servers: 'nats://undefined:4222' })],
    ['nats.credentials', () => nats({ credentials: '' })],
    ['service', () => MessagingModule.forRoot({ service: '' })],
    ['service', () => MessagingModule.forRoot({ service: undefined, transport: rabbitmq({ url: 'amqp://mq' }) })],
    ['servers', () => RequeueModule.forRoot({ dataDir: '/x', servers: 'nats://undefined' })],
  ])('is refused as well inside a list or an address, and as an empty text: %s', (option, action) => {
    expect(errorOf(action).message).toContain(`Option «${option}»`);
  });

  test('means the default where it is left out', () => {
    expect(() => [rabbitmq({}), nats({}), memory({}), MessagingModule.forRoot({})]).not.toThrow();
  });
});

describe('A route with a space or a control character', () => {
  test.each(['order created', ' order', 'order\n', 'order\t.x', 'order\u0000', 'order\u200b'])(
    'is refused: %j',
    async (route) => {
      const allowed = /Option «route» is .*allowed: a text/;
      expect(errorOf(() => message(route)).message).toMatch(allowed);
      const { messaging } = await boot({ imports: [MessagingModule.forRoot()] });
      await expect(messaging.publisher.publish(route, {})).rejects.toThrow(allowed);
      await expect(messaging.subscribe({ route }, () => undefined)).rejects.toThrow(allowed);
      expect(() => messaging.receive(route)).toThrow(allowed);
      const [result] = await messaging.publisher.publishMany([{ route, body: {} }]);
      expect(result).toMatchObject({ outcome: 'rejected', error: { code: 'INVALID_OPTION' } });
    },
  );

  test('also as a dead-letter route', async () => {
    const { messaging } = await boot({ imports: [MessagingModule.forRoot()] });
    const subscribing = messaging.subscribe({ route: 'a', dlq: { route: 'a b' } }, () => undefined);
    await expect(subscribing).rejects.toThrow(/«dlq\.route»/);
  });
});

describe('A decorator in the wrong place', () => {
  test('is refused with its class and member: static, property, accessor, class', () => {
    const statically = (): void => {
      class Orders {
        @Subscribe('a')
        static handle(): void {}
      }
      void Orders;
    };
    const property = (): void => {
      class Orders {
        @(Subscribe('a') as PropertyDecorator)
        handle = (): void => {};
      }
      void Orders;
    };
    const batch = (): void => {
      class Orders {
        @SubscribeBatch('a', { size: 2 })
        static handle(): void {}
      }
      void Orders;
    };
    for (const [action, place] of [
      [statically, 'Orders.handle (static)'],
      [property, 'Orders.handle'],
      [batch, 'Orders.handle (static)'],
    ] as const) {
      const error = errorOf(action);
      expect(error).toBeInstanceOf(SubscriptionConflictError);
      expect(error.message).toContain(`${place} cannot subscribe`);
    }
    const onClass = Subscribe('a') as unknown as (target: object) => void;
    expect(errorOf(() => onClass(class Orders {})).message).toContain('The class Orders cannot subscribe');
  });

  test('without experimentalDecorators says so', () => {
    const standard = Subscribe('a') as unknown as (value: unknown, context: object) => void;
    expect(errorOf(() => standard(() => undefined, { kind: 'method', name: 'handle' })).message).toContain(
      'experimentalDecorators',
    );
  });
});

describe('Two handlers on one queue', () => {
  class Billing {
    @Subscribe('order.created', { name: 'orders' })
    onOrder(): void {}
  }
  class Audit {
    @Subscribe('order.created', { name: 'orders' })
    onOrder(): void {}
  }
  class Batches {
    @SubscribeBatch('order.created', { name: 'orders', size: 2 })
    onOrders(): void {}
  }
  class Deaf {
    @Subscribe('other', { name: 'other', dlq: { route: 'orders:dlq' } })
    onOther(): void {}
  }

  test.each([
    ['single ones', [Billing, Audit], ['Billing.onOrder', 'Audit.onOrder']],
    ['a single one and a batch', [Billing, Batches], ['Billing.onOrder', 'Batches.onOrders']],
    ['with one dead-letter route', [Billing, Deaf], ['Billing.onOrder', 'Deaf.onOther']],
  ])('are both named by class and method: %s', async (_, providers, names) => {
    const error = await failure(boot({ imports: [MessagingModule.forRoot()], providers }));
    for (const name of names) expect(error.message).toContain(name);
  });

  test('of which one subscribes at run time are named as well', async () => {
    const { messaging } = await boot({ imports: [MessagingModule.forRoot()], providers: [Billing] });
    const subscribing = messaging.subscribe({ route: 'order.created', name: 'orders' }, () => undefined);
    await expect(subscribing).rejects.toThrow(/Billing\.onOrder for order\.created and messaging\.subscribe for/);
  });
});

describe('forRootAsync', () => {
  class Empty {
    createMessagingOptions(): MessagingModuleOptions {
      return undefined as never;
    }
  }

  test.each([
    ['its factory', { useFactory: () => undefined as never }, 'forRootAsync, useFactory'],
    ['its async factory', { useFactory: async () => null as never }, 'forRootAsync, useFactory'],
    ['its class', { useClass: Empty }, 'forRootAsync, Empty.createMessagingOptions'],
    [
      'a named connection',
      { connection: 'audit', useFactory: () => undefined as never },
      'forRootAsync of the connection «audit», useFactory',
    ],
  ])('is named where it gave nothing: %s', async (_, options, place) => {
    const error = await failure(boot({ imports: [MessagingModule.forRootAsync(options)] }));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error.message).toMatch(new RegExp(`^Option «${place}» is (undefined|null); allowed: an object of options`));
  });

  test('is named where it gave a wrong option', async () => {
    const useFactory = (): MessagingModuleOptions => given({ servcie: 'shop' });
    const error = await failure(boot({ imports: [MessagingModule.forRootAsync({ useFactory })] }));
    expect(error.message).toMatch(/^forRootAsync, useFactory: Option «options\.servcie» is "shop".*«service»/);
  });

  test('looks at its options once', async () => {
    let looks = 0;
    const useFactory = (): MessagingModuleOptions => ({
      get service() {
        looks++;
        return 'shop';
      },
    });
    resolveOptions(useFactory());
    const once = looks;
    await boot({ imports: [MessagingModule.forRootAsync({ useFactory })] });
    expect(looks).toBe(2 * once);
  });

  test('is named where neither is given', () => {
    expect(errorOf(() => MessagingModule.forRootAsync(undefined as never)).message).toContain('forRootAsync');
  });
});

describe('The class MessagingModule among the imports', () => {
  @Injectable()
  class Orders {
    constructor(readonly publisher: Publisher) {}
  }
  @Module({ imports: [MessagingModule], providers: [Orders] })
  class Feature {}

  test('without forRoot anywhere is told, also where something needs the publisher', async () => {
    for (const metadata of [
      { imports: [MessagingModule] },
      { imports: [MessagingModule], providers: [Orders] },
      { imports: [Feature] },
    ]) {
      const error = await failure(Test.createTestingModule(metadata).setLogger(new CapturedLog()).compile());
      expect(error.message).toMatch(/Option «MessagingModule».*MessagingModule\.forRoot\(\{/);
    }
  });

  test('beside a forRoot elsewhere does no harm', async () => {
    const { app } = await boot({ imports: [MessagingModule.forRoot(), Feature] });
    expect(app.get(Orders, { strict: false }).publisher).toBe(app.get(Publisher));
  });
});
