import { afterEach, describe, expect, test } from '@jest/globals';
import {
  Global,
  Injectable,
  Module,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import {
  type MessageContext,
  Messaging,
  MessagingModule,
  Publisher,
  Subscribe,
  bounded,
  memory,
} from 'nestjs-messaging';
import { MemoryBroker } from '../../lib/transports/memory/memory-broker.js';
import { boot, closeApplications, event, Seen } from './support/application.js';
import { describeBrokers } from './support/brokers.js';

afterEach(closeApplications);

/** A promise that is resolved from outside. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

describeBrokers('Shutdown', (fresh) => {
  test('lets running handlers finish, starts none, gives the rest back with no attempt spent, and loses nothing', async () => {
    const started = new Seen<number>();
    const finished = new Seen<number>();
    const door = gate();
    let closing = false;
    const late: number[] = [];
    @Injectable()
    class Handler {
      constructor(readonly publisher: Publisher) {}

      @Subscribe('order.created', { prefetch: 20, concurrency: bounded(4) })
      async handle({ id }: { id: number }): Promise<void> {
        if (closing) late.push(id);
        started.add(id);
        await door.opened;
        await this.publisher.publish('order.handled', { id });
        finished.add(id);
      }
    }
    const transport = await fresh();
    const collected = new Seen<number>();
    const collector = await boot({
      imports: [MessagingModule.forRoot({ service: 'collector', transport: transport() })],
    });
    await collector.messaging.subscribe<{ id: number }>({ route: 'order.handled' }, ({ id }) => collected.add(id));

    const first = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Handler],
    });
    await first
      .get(Publisher)
      .publishMany(Array.from({ length: 50 }, (_, id) => ({ route: 'order.created', body: { id } })));
    await started.until(4);
    closing = true;
    const closed = first.close();
    setImmediate(door.open);
    await closed;
    expect(late).toEqual([]);
    expect(finished.all.length).toBe(4);

    closing = false;
    const attempts = new Seen<number>();
    const second = await boot({ imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })] });
    await second.messaging.subscribe<{ id: number }>(
      { route: 'order.created' },
      async ({ id }, { attempt }: MessageContext) => {
        attempts.add(attempt);
        await second.get(Publisher).publish('order.handled', { id });
      },
    );
    await collected.until(50);
    expect([...collected.all].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, id) => id));
    expect(new Set(attempts.all)).toEqual(new Set([1]));
  });

  test('after many give-backs a message is still handled, as attempt 1', async () => {
    const transport = await fresh();
    const publisher = await boot({
      imports: [MessagingModule.forRoot({ service: 'publisher', transport: transport() })],
    });
    const declare = await publisher.messaging.subscribe({ route: 'order.created', group: 'orders' }, () => undefined);
    await declare.stop();
    await publisher.get(Publisher).publishMany([1, 2, 3].map((id) => ({ route: 'order.created', body: id })));
    for (let round = 0; round < 6; round++) {
      const door = gate();
      const running = new Seen<unknown>();
      const { messaging, close } = await boot({
        imports: [MessagingModule.forRoot({ service: 'orders', transport: transport(), shutdownTimeout: 0 })],
      });
      await messaging.subscribe({ route: 'order.created', concurrency: bounded(1) }, async (body) => {
        running.add(body);
        await door.opened;
      });
      await running.until(1);
      await close();
      door.open();
    }
    const attempts = new Seen<number>();
    const last = await boot({ imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })] });
    await last.messaging.subscribe({ route: 'order.created' }, (_, { attempt }) => attempts.add(attempt));
    expect(await attempts.until(3)).toEqual([1, 1, 1]);
  });

  test('everything published before the close is sent, afterwards a publish is a clear rejection', async () => {
    const transport = await fresh();
    const seen = new Seen<number>();
    const consumer = await boot({ imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })] });
    await consumer.messaging.subscribe<number>({ route: 'order.created', prefetch: 100 }, (id) => seen.add(id));
    const { get, close } = await boot({
      imports: [MessagingModule.forRoot({ service: 'shop', transport: transport(), maxInFlight: 10 })],
    });
    const publisher = get(Publisher);
    for (let id = 0; id < 500; id++) expect(publisher.emit('order.created', id)).toBe(true);
    await close();
    expect((await seen.until(500)).length).toBe(500);
    await expect(publisher.publish('order.created', 501)).rejects.toMatchObject({ code: 'PUBLISHER_CLOSED' });
    expect(publisher.emit('order.created', 502)).toBe(false);
  });
});

describe('Life cycle', () => {
  test('consumers stop before other modules are destroyed, publishing works until the very end', async () => {
    const order: string[] = [];
    const door = gate();
    const started = gate();
    @Injectable()
    class Database implements OnModuleDestroy {
      open = true;
      onModuleDestroy(): void {
        this.open = false;
        order.push('database closed');
      }
    }
    @Global()
    @Module({ providers: [Database], exports: [Database] })
    class DatabaseModule {}
    @Injectable()
    class Handler implements OnModuleDestroy, OnApplicationShutdown {
      constructor(
        readonly database: Database,
        readonly publisher: Publisher,
      ) {}

      @Subscribe('order.created')
      async handle(): Promise<void> {
        started.open();
        await door.opened;
        order.push(`handled, database ${this.database.open ? 'open' : 'closed'}`);
      }

      async onModuleDestroy(): Promise<void> {
        order.push(`destroy: ${(await this.publisher.publish('late', 1, { unroutable: 'ignore' })).outcome}`);
      }

      async onApplicationShutdown(): Promise<void> {
        order.push(`shutdown: ${(await this.publisher.publish('late', 2, { unroutable: 'ignore' })).outcome}`);
      }
    }
    @Module({ imports: [DatabaseModule], providers: [Handler] })
    class FeatureModule {}
    const { get, close } = await boot({
      imports: [DatabaseModule, MessagingModule.forRoot(), FeatureModule],
      providers: [{ provide: 'root', useClass: Database }],
    });
    await get(Publisher).publish('order.created', {});
    await started.opened;
    const closed = close();
    setImmediate(door.open);
    await closed;
    expect(order[0]).toBe('handled, database open');
    expect(order).toContain('destroy: confirmed');
    expect(order).toContain('shutdown: confirmed');
    expect(order.filter((line) => line === 'database closed').length).toBe(2);
  });

  test('a module can publish from its own onModuleInit, and subscriptions start after all of them', async () => {
    const order: string[] = [];
    const seen = new Seen<string>();
    @Injectable()
    class Feature implements OnModuleInit {
      constructor(readonly publisher: Publisher) {}

      async onModuleInit(): Promise<void> {
        const { outcome } = await this.publisher.publish('order.created', 'early');
        order.push(`init ${outcome}`);
      }

      onApplicationBootstrap(): void {
        order.push('bootstrap');
        void this.publisher.publish('order.created', 'boot');
      }

      @Subscribe('order.created')
      handle(body: string): void {
        seen.add(body);
      }
    }
    const { messaging } = await boot({ imports: [MessagingModule.forRoot()], providers: [Feature] });
    expect(order).toEqual(['init confirmed', 'bootstrap']);
    expect(await seen.until(2)).toEqual(['early', 'boot']);
    expect(messaging.health().status).toBe('up');
  });

  test('closing twice is harmless, and an application that never started closes', async () => {
    const { app, messaging } = await boot({ imports: [MessagingModule.forRoot()] });
    await Promise.all([app.close(), app.close()]);
    await app.close();
    expect(messaging.health()).toMatchObject({ status: 'down', connection: { state: 'closed' } });
  });

  test('what memory loses at the deadline is reported with its id', async () => {
    const broker = new MemoryBroker();
    const { get, log, close, messaging } = await boot({
      imports: [MessagingModule.forRoot({ transport: memory({ broker }), shutdownTimeout: 20 })],
    });
    const down = event(messaging, 'disconnected');
    broker.faults.refuse();
    broker.faults.disconnect();
    await down;
    const receipt = await get(Publisher).publish('order.created', {}, { id: 'never-sent' });
    expect(receipt).toMatchObject({ outcome: 'queued', stored: 'memory' });
    await close();
    expect(await receipt.settled).toMatchObject({ outcome: 'rejected', error: { code: 'PUBLISHER_CLOSED' } });
    expect(log.lines.filter((line) => line.startsWith('error') && line.includes('never-sent')).length).toBe(1);
  });

  test('health tells up, degraded and down apart, and liveness ignores the broker', async () => {
    const broker = new MemoryBroker();
    const { get, messaging } = await boot({
      imports: [MessagingModule.forRoot({ transport: memory({ broker }), reconnect: { initial: 1, max: 1 } })],
    });
    expect(messaging.health().status).toBe('up');
    const blocked = event(messaging, 'blocked');
    broker.faults.block(true);
    await blocked;
    expect(messaging.health()).toMatchObject({ status: 'degraded', connection: { state: 'blocked', blocked: true } });
    expect(await get(Publisher).publish('order.created', {}, { unroutable: 'ignore' })).toMatchObject({
      outcome: 'queued',
    });
    expect(messaging.health().retryQueue.depth).toBe(1);
    const unblocked = event(messaging, 'unblocked');
    const published = event(messaging, 'published');
    broker.faults.block(false);
    await unblocked;
    await published;
    expect(messaging.health()).toMatchObject({ status: 'up', retryQueue: { depth: 0, bytes: 0 } });
    const down = event(messaging, 'disconnected');
    broker.faults.refuse();
    broker.faults.disconnect();
    await down;
    expect(messaging.health()).toMatchObject({ status: 'down', connection: { state: 'connecting' } });
    expect(get(Messaging)).toBe(messaging);
  });
});
