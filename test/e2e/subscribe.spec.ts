import { afterEach, describe, expect, test } from '@jest/globals';
import { Controller, Injectable, Module } from '@nestjs/common';
import {
  InvalidOptionError,
  InjectPublisher,
  memory,
  type MessageContext,
  MessagingModule,
  Publisher,
  Subscribe,
  SubscriptionConflictError,
  getMessagingToken,
  type Messaging,
} from 'nestjs-messaging';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications, event, Seen } from './support/application.js';
import { describeBrokers } from './support/brokers.js';

afterEach(closeApplications);

describeBrokers('@Subscribe', (fresh) => {
  test('works on providers and controllers, several times per class and per method', async () => {
    const seen = new Seen<string>();
    @Injectable()
    class Provider {
      @Subscribe('order.created')
      created(order: { id: number }, context: MessageContext): void {
        seen.add(`provider created ${order.id} ${context.route} ${context.attempt} ${context.queue}`);
      }

      @Subscribe('order.paid')
      @Subscribe('order.sent', { name: 'sent' })
      moved(order: { id: number }, context: MessageContext): void {
        seen.add(`provider ${context.route} ${order.id} ${context.queue}`);
      }
    }
    @Controller('unused')
    class HttpController {
      @Subscribe({ route: 'order.cancelled', prefetch: 2 })
      cancelled(order: { id: number }): void {
        seen.add(`controller cancelled ${order.id}`);
      }
    }
    const transport = await fresh();
    const { get } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Provider],
      controllers: [HttpController],
    });
    const publisher = get(Publisher);
    await publisher.publish('order.created', { id: 1 });
    await publisher.publish('order.paid', { id: 2 });
    await publisher.publish('order.sent', { id: 3 });
    await publisher.publish('order.cancelled', { id: 4 });
    expect((await seen.until(4)).sort()).toEqual([
      'controller cancelled 4',
      'provider created 1 order.created 1 orders:order.created:queue',
      'provider order.paid 2 orders:order.paid:queue',
      'provider order.sent 3 orders:sent:queue',
    ]);
  });

  test('takes several routes and patterns under one name', async () => {
    const seen = new Seen<string>();
    @Injectable()
    class Audit {
      @Subscribe(['order.*', 'invoice.#'], { name: 'audit' })
      all(_: unknown, { route, queue }: MessageContext): void {
        seen.add(`${route} ${queue}`);
      }
    }
    const transport = await fresh();
    const { get } = await boot({
      imports: [MessagingModule.forRoot({ service: 'books', transport: transport() })],
      providers: [Audit],
    });
    for (const route of ['order.created', 'invoice', 'invoice.sent.late']) await get(Publisher).publish(route, {});
    await expect(get(Publisher).publish('order.created.late', {})).rejects.toMatchObject({ code: 'UNROUTABLE' });
    expect((await seen.until(3)).sort()).toEqual([
      'invoice books:audit:queue',
      'invoice.sent.late books:audit:queue',
      'order.created books:audit:queue',
    ]);
  });

  test('two services each get every message, two processes of one service share them', async () => {
    const bySubscriber = new Map<string, Seen<number>>();
    const transport = await fresh();
    const all = new Seen<string>();
    const start = (service: string, process: string) => {
      @Injectable()
      class Handler {
        @Subscribe('order.created', { prefetch: 1 })
        handle({ id }: { id: number }): void {
          bySubscriber.get(process)?.add(id);
          all.add(`${service} ${id}`);
        }
      }
      bySubscriber.set(process, new Seen());
      return boot({ imports: [MessagingModule.forRoot({ service, transport: transport() })], providers: [Handler] });
    };
    const { get } = await start('orders', 'orders-1');
    await start('orders', 'orders-2');
    await start('billing', 'billing-1');
    const ids = Array.from({ length: 20 }, (_, id) => id);
    await get(Publisher).publishMany(ids.map((id) => ({ route: 'order.created', body: { id } })));
    const seen = await all.until(40);
    expect(seen.filter((line) => line.startsWith('orders')).length).toBe(20);
    expect(new Set(seen).size).toBe(40);
    expect(bySubscriber.get('billing-1')?.all.length).toBe(20);
    expect(bySubscriber.get('orders-1')!.all.length + bySubscriber.get('orders-2')!.all.length).toBe(20);
  });

  test('a paused subscription handles nothing, the others go on; resumed, it handles what came meanwhile', async () => {
    const transport = await fresh();
    const { messaging, get } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
    });
    const [seen, others] = [new Seen<number>(), new Seen<number>()];
    await messaging.subscribe<number>({ route: 'order.created' }, (id) => seen.add(id));
    await messaging.subscribe<number>({ route: 'order.created', name: 'other' }, (id) => others.add(id));
    const states = (): unknown[] => messaging.health().consumers.map(({ state, reason }) => [state, reason]);
    messaging.pause('order.created');
    expect(messaging.health().status).toBe('up');
    expect(states()).toEqual([
      ['paused', undefined],
      ['consuming', undefined],
    ]);
    await get(Publisher).publishMany([1, 2, 3].map((body) => ({ route: 'order.created', body })));
    await others.until(3);
    expect(seen.all).toEqual([]);
    const resumed = seen.until(3);
    messaging.resume('order.created');
    expect([...(await resumed)].sort()).toEqual([1, 2, 3]);
    await waitFor(() => messaging.health().consumers.every(({ state }) => state === 'consuming'));
  });

  test('a subscription made at run time handles, stops and unbinds', async () => {
    const transport = await fresh();
    const { messaging, get } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
    });
    const seen = new Seen<number>();
    const subscription = await messaging.subscribe<{ id: number }>({ route: 'late.route' }, ({ id }) => seen.add(id));
    await get(Publisher).publish('late.route', { id: 1 });
    await seen.until(1);
    expect(messaging.health().consumers).toEqual([
      { queue: 'orders:late.route:queue', state: 'consuming', inFlight: expect.any(Number) },
    ]);
    await subscription.stop();
    expect(messaging.health().consumers).toEqual([]);
    await get(Publisher).publish('late.route', { id: 2 });
    await subscription.unbind();
    await expect(get(Publisher).publish('late.route', { id: 3 })).rejects.toMatchObject({ code: 'UNROUTABLE' });
    await messaging.subscribe<{ id: number }>({ route: 'late.route' }, ({ id }) => seen.add(id));
    expect(await seen.until(2)).toEqual([1, 2]);
  });

  test('a first handling is deferred by `delay`, retries are not deferred again', async () => {
    const seen = new Seen<{ attempt: number; late: number }>();
    @Injectable()
    class Handler {
      @Subscribe('order.created', { delay: 150, retry: { attempts: 2, backoff: 0 } })
      handle(_: unknown, { attempt, time }: MessageContext): void {
        seen.add({ attempt, late: Date.now() - time! });
        if (attempt === 1) throw new Error('first');
      }
    }
    const transport = await fresh();
    const { get } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Handler],
    });
    await get(Publisher).publish('order.created', {});
    const calls = await seen.until(2);
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(calls[0].late).toBeGreaterThanOrEqual(150);
  });
});

describe('@Subscribe', () => {
  test('a provider exported to several modules is subscribed once', async () => {
    const seen = new Seen<number>();
    @Injectable()
    class Shared {
      @Subscribe('order.created')
      handle({ id }: { id: number }): void {
        seen.add(id);
      }
    }
    @Module({ providers: [Shared], exports: [Shared] })
    class SharedModule {}
    @Module({ imports: [SharedModule], providers: [{ provide: 'alias', useExisting: Shared }] })
    class First {}
    @Module({ imports: [SharedModule] })
    class Second {}
    const { messaging, get } = await boot({ imports: [MessagingModule.forRoot(), First, Second] });
    expect(messaging.health().consumers.map(({ queue }) => queue)).toEqual(['app:order.created:queue']);
    await get(Publisher).publish('order.created', { id: 1 });
    expect(await seen.until(1)).toEqual([1]);
  });

  test('two handlers on one queue are refused at boot, with the remedy', async () => {
    @Injectable()
    class First {
      @Subscribe('order.created')
      handle(): void {}
    }
    @Injectable()
    class Second {
      @Subscribe('order.created', { prefetch: 3 })
      handle(): void {}
    }
    await expect(boot({ imports: [MessagingModule.forRoot()], providers: [First, Second] })).rejects.toThrow(
      /app:order\.created:queue.*Give one a «name»/,
    );
  });

  test.each([
    ['an empty route', () => Subscribe(''), InvalidOptionError],
    ['no route in a request', () => Subscribe({ route: [] as string[] }), InvalidOptionError],
    ['a wildcard inside of a word', () => Subscribe('order.cre*'), InvalidOptionError],
    ['several routes without a name', () => Subscribe(['a', 'b']), SubscriptionConflictError],
    ['a name with a colon', () => Subscribe('a', { name: 'x:y' }), InvalidOptionError],
  ])('%s is refused where it is written', (_, decorate, error) => {
    expect(decorate).toThrow(error);
  });

  test.each([
    ['prefetch', { prefetch: '20' }, /«prefetch» is "20"; allowed: a whole number from 1 to 65535/],
    ['prefetch', { prefetch: 0 }, /«prefetch» is 0/],
    ['timeout', { timeout: -1 }, /«timeout» is -1/],
    ['dlq', { dlq: 'yes' }, /«dlq» is "yes"; allowed: true, false, or \{ queue\?, route\? \}/],
    ['concurrency', { concurrency: 5 }, /«concurrency» is 5; allowed: bounded\(n\), unbounded\(\) or partitioned/],
    ['retry', { retry: { attempts: 0 } }, /«retry\.attempts» is 0/],
    ['a name of nothing', { prefech: 5 }, /prefech/],
  ])('a wrong %s is refused at boot, naming option, value and what is allowed', async (_, options, message) => {
    @Injectable()
    class Handler {
      @Subscribe('order.created', options as never)
      handle(): void {}
    }
    await expect(boot({ imports: [MessagingModule.forRoot()], providers: [Handler] })).rejects.toThrow(message);
  });

  test('options from the configuration override the decorator, false switches one off', async () => {
    @Injectable()
    class Handler {
      @Subscribe('order.created', { prefetch: 5 })
      created(): void {}

      @Subscribe('order.paid')
      paid(): void {}
    }
    const options = { subscriptions: { 'order.created': { queue: 'overridden' }, 'order.paid': false as const } };
    const { messaging } = await boot({
      imports: [MessagingModule.forRootAsync({ useFactory: () => options })],
      providers: [Handler],
    });
    expect(messaging.health().consumers.map(({ queue }) => queue)).toEqual(['overridden']);
  });

  test('a publish-only process starts no subscription', async () => {
    @Injectable()
    class Handler {
      @Subscribe('order.created')
      handle(): void {}
    }
    const { messaging, get } = await boot({
      imports: [MessagingModule.forRoot({ consume: false })],
      providers: [Handler],
    });
    expect(messaging.health().consumers).toEqual([]);
    await expect(get(Publisher).publish('order.created', {})).rejects.toMatchObject({ code: 'UNROUTABLE' });
  });

  test('several connections each have their publisher, subscriptions and health', async () => {
    const seen = new Seen<string>();
    @Injectable()
    class Handler {
      constructor(
        readonly main: Publisher,
        @InjectPublisher('analytics') readonly analytics: Publisher,
      ) {}

      @Subscribe('order.created')
      created(): void {
        seen.add('main');
      }

      @Subscribe('order.created', { connection: 'analytics' })
      analysed(): void {
        seen.add('analytics');
      }
    }
    const { app, messaging, get } = await boot({
      imports: [
        MessagingModule.forRoot(),
        MessagingModule.forRoot({ connection: 'analytics', service: 'numbers', transport: memory() }),
      ],
      providers: [Handler],
    });
    await get(Handler).main.publish('order.created', {});
    await get(Handler).analytics.publish('order.created', {});
    expect((await seen.until(2)).sort()).toEqual(['analytics', 'main']);
    expect(messaging.health().consumers.map(({ queue }) => queue)).toEqual(['app:order.created:queue']);
    const analytics = app.get<Messaging>(getMessagingToken('analytics'));
    expect(analytics.health().consumers.map(({ queue }) => queue)).toEqual(['numbers:order.created:queue']);
  });

  test('a decorator above @Subscribe that replaces the method does not hide the subscription', async () => {
    const seen = new Seen<string>();
    const Wrapped: MethodDecorator = (_, __, descriptor: PropertyDescriptor) => {
      const original = descriptor.value as (...args: unknown[]) => unknown;
      descriptor.value = function (this: unknown, ...args: unknown[]): unknown {
        seen.add('wrapper');
        return original.apply(this, args);
      };
    };
    @Injectable()
    class Handler {
      @Wrapped
      @Subscribe('order.created')
      handle(): void {
        seen.add('handler');
      }
    }
    const { get } = await boot({ imports: [MessagingModule.forRoot()], providers: [Handler] });
    await get(Publisher).publish('order.created', {});
    expect(await seen.until(2)).toEqual(['wrapper', 'handler']);
  });

  test('two subscriptions whose dead letters would reach both queues are refused at boot', async () => {
    @Injectable()
    class Handler {
      @Subscribe('order.created', { dlq: { route: 'dead' } })
      created(): void {}

      @Subscribe('order.paid', { dlq: { route: 'dead' } })
      paid(): void {}
    }
    await expect(boot({ imports: [MessagingModule.forRoot()], providers: [Handler] })).rejects.toThrow(
      /share the dead-letter route «app:dead»/,
    );
  });

  test('a wrong option names the class and method it stands at', async () => {
    @Injectable()
    class Handler {
      @Subscribe('order.created', { prefetch: 0 })
      handle(): void {}
    }
    await expect(boot({ imports: [MessagingModule.forRoot()], providers: [Handler] })).rejects.toThrow(
      /^Handler\.handle: Option «prefetch» is 0/,
    );
  });

  test('a connection that is provided twice is refused at boot', async () => {
    await expect(boot({ imports: [MessagingModule.forRoot(), MessagingModule.forRoot()] })).rejects.toThrow(
      /«default» is provided twice/,
    );
  });

  test('a subscription on a connection that does not exist is refused at boot', async () => {
    @Injectable()
    class Handler {
      @Subscribe('order.created', { connection: 'anlytics' })
      handle(): void {}
    }
    await expect(boot({ imports: [MessagingModule.forRoot()], providers: [Handler] })).rejects.toThrow(
      /Handler\.handle .*«anlytics», which no MessagingModule provides; there are: default/,
    );
  });

  test('several applications of the same module in one process do not meet', async () => {
    const seen = new Seen<unknown>();
    @Injectable()
    class Handler {
      @Subscribe('order.created')
      handle(body: unknown): void {
        seen.add({ handler: this, body });
      }
    }
    @Module({ imports: [MessagingModule.forRoot()], providers: [Handler] })
    class AppModule {}
    const first = await boot({ imports: [AppModule] });
    const second = await boot({ imports: [AppModule] });
    const settled = event(second.messaging, 'settled');
    await second.get(Publisher).publish('order.created', 2);
    await settled;
    expect(seen.all).toEqual([{ handler: second.get(Handler), body: 2 }]);
    await second.close();
    await first.get(Publisher).publish('order.created', 1);
    expect((await seen.until(2))[1]).toEqual({ handler: first.get(Handler), body: 1 });
  });

  test('useClass and useExisting make the options', async () => {
    @Injectable()
    class Config {
      createMessagingOptions() {
        return { service: 'configured' };
      }
    }
    @Module({ providers: [Config], exports: [Config] })
    class ConfigModule {}
    @Injectable()
    class Handler {
      @Subscribe('order.created')
      handle(): void {}
    }
    for (const source of [{ useClass: Config }, { imports: [ConfigModule], useExisting: Config }]) {
      const { messaging, close } = await boot({
        imports: [MessagingModule.forRootAsync(source)],
        providers: [Handler],
      });
      expect(messaging.health().consumers[0]?.queue).toBe('configured:order.created:queue');
      await close();
    }
  });
});
