import { afterEach, describe, expect, test } from '@jest/globals';
import { Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  diskRetryQueue,
  InjectPublisher,
  type MessageContext,
  Messaging,
  MessagingModule,
  Publisher,
  RetryLaterError,
  Subscribe,
} from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { nestEnvelope } from 'nestjs-messaging/serializers';
import {
  ExpectationError,
  MessagingProbe,
  MessagingTestingModule,
  type MessagingTestingOptions,
} from 'nestjs-messaging/testing';
import { CapturedLog } from '../e2e/support/application.js';

@Injectable()
class Orders {
  calls = 0;
  fail: (attempt: number) => void = () => {};
  invoice: () => Promise<void> = () => Promise.resolve();

  constructor(readonly publisher: Publisher) {}

  async place(item: string): Promise<void> {
    await this.publisher.publish('order.created', { item }, { key: item });
  }

  @Subscribe('order.created', { rabbitmq: { queueType: 'quorum' } })
  async onOrder(order: { item: string }, { attempt }: MessageContext): Promise<void> {
    this.calls++;
    this.fail(attempt);
    await this.publisher.publish('invoice.due', order, { delay: 86_400_000 });
  }

  @Subscribe('invoice.*', { name: 'invoices' })
  onInvoice(): Promise<void> {
    return this.invoice();
  }
}

/** As in production: nothing here can be reached in a test. */
@Module({
  imports: [
    MessagingModule.forRootAsync({
      useFactory: () => ({
        service: 'orders',
        transport: rabbitmq({ url: 'amqp://nobody:hush-hush@no-such-host.invalid', exchange: 'shop' }),
        retryQueue: { store: diskRetryQueue({ directory: '/proc/no-such-folder' }) },
        provision: false,
      }),
    }),
  ],
  providers: [Orders],
})
class AppModule {}

const log = new CapturedLog();
let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
});

async function boot(imports: NonNullable<ModuleMetadata['imports']> = [AppModule], options?: MessagingTestingOptions) {
  const module = await Test.createTestingModule({ imports: [...imports, MessagingTestingModule.forRoot(options)] })
    .setLogger(log)
    .compile();
  const app = module.createNestApplication();
  await app.init();
  close = () => app.close();
  return { app, probe: app.get(MessagingProbe), orders: app.get(Orders, { strict: false }) };
}

describe('MessagingTestingModule', () => {
  test('takes the place of a real transport and its disk by one line, and sees what is published and handled', async () => {
    const { probe, orders } = await boot();
    await orders.place('book');
    const [published] = await probe.published('order.created');
    expect(published).toMatchObject({
      connection: 'default',
      route: 'order.created',
      body: { item: 'book' },
      outcome: 'confirmed',
    });
    const [handled] = await probe.handled({ route: 'order.*', id: published.id });
    expect(handled).toMatchObject({ queue: 'orders:order.created:queue', attempt: 1, payload: { item: 'book' } });
  });

  test('sees the payload and route that the serializer of a subscription reads, as its handler does', async () => {
    const { app, probe } = await boot();
    const serializer = nestEnvelope();
    await app.get(Messaging).subscribe({ route: 'theirs', serializer }, () => undefined);
    const envelope = { serializer: nestEnvelope({ pattern: 'order.paid' }) };
    await app.get(Publisher).publish('theirs', { item: 'book' }, envelope);
    const [handled] = await probe.handled({ route: 'order.paid' });
    expect(handled).toMatchObject({ payload: { item: 'book' }, queue: 'orders:theirs:queue' });
  });

  test('time stands still until it is moved; delays and retries come by virtual time', async () => {
    const { probe, orders } = await boot();
    orders.fail = (attempt) => {
      if (attempt === 1) throw new RetryLaterError(60_000);
    };
    const startedAt = probe.clock.now();
    await orders.place('book');
    await probe.idle();
    expect(probe.history.failed).toMatchObject([{ route: 'order.created', attempt: 1 }]);
    await probe.advance(59_000);
    expect(orders.calls).toBe(1);
    await probe.advance(1_500);
    expect(orders.calls).toBe(2);
    expect(probe.history.handled).toMatchObject([{ route: 'order.created', attempt: 2 }]);
    await probe.handled('invoice.due', { within: 2 * 86_400_000, timeout: 30_000 });
    expect(probe.clock.now() - startedAt).toBeGreaterThanOrEqual(86_400_000);
  });

  test('a wait moves the time as far as it needs: eight calls with growing backoff, then the dead letter', async () => {
    const { probe, orders } = await boot();
    orders.fail = () => {
      throw new Error('the database is down');
    };
    await orders.place('book');
    const [letter] = await probe.deadLettered('order.created');
    expect(letter).toMatchObject({ reason: 'attempts-exhausted', attempt: 8, payload: { item: 'book' } });
    expect(letter.error).toMatchObject({ message: 'the database is down' });
    expect(orders.calls).toBe(8);
    expect(probe.history.handled).toEqual([]);
  });

  test('a wait in vain is rejected with what happened instead', async () => {
    const { probe, orders } = await boot();
    orders.fail = () => {
      throw new RetryLaterError(7_200_000);
    };
    await orders.place('book');
    const error = await probe.handled('order.created', { timeout: 50 }).catch((reason: unknown) => reason as Error);
    expect(error).toBeInstanceOf(ExpectationError);
    expect((error as Error).message).toMatch(/Waited for 1 handled on «order\.created», and saw 0/);
    expect((error as Error).message).toMatch(/published: «order\.created» \S+: confirmed/);
    expect((error as Error).message).toMatch(/failed: «order\.created» \S+ of «orders:order\.created:queue», call 1/);
    expect((error as Error).message).toMatch(/delayed \(default\): 1/);
    await expect(probe.published('nothing', { timeout: 1, within: 0 })).rejects.toThrow(/saw 0/);
  });

  test('waits for a handler that waits for something real, and moves no time meanwhile', async () => {
    const { probe, orders } = await boot();
    let finish!: () => void;
    const real = new Promise<void>((resolve) => (finish = resolve));
    orders.invoice = () => real;
    const before = probe.clock.monotonic();
    await orders.publisher.publish('invoice.paid', 1);
    await orders.publisher.publish('order.created', 2, { delay: 5_000 });
    const waiting = probe.handled('invoice.paid');
    await probe.idle();
    expect(probe.clock.monotonic()).toBe(before);
    finish();
    expect(await waiting).toHaveLength(1);
  });

  test('several waits at a time; clear forgets', async () => {
    const { probe, orders } = await boot();
    const waits = Promise.all([
      probe.handled('order.created', { count: 3 }),
      probe.published({ where: ({ body }) => (body as { item: string }).item === 'c' }),
      probe.handled({ queue: 'orders:invoices:queue' }, { count: 3, within: 1e9, timeout: 30_000 }),
    ]);
    for (const item of ['a', 'b', 'c']) await orders.place(item);
    expect((await waits).map((found) => found.length)).toEqual([3, 1, 3]);
    probe.clear();
    expect(probe.history.published).toEqual([]);
  });

  test('several connections have a broker each, or share one', async () => {
    @Injectable()
    class Bridge {
      constructor(
        readonly publisher: Publisher,
        @InjectPublisher('events') readonly events: Publisher,
      ) {}
      @Subscribe('in', { connection: 'events', topic: 'shop' })
      onIn(): void {}
    }
    const imports = [
      MessagingModule.forRoot({ service: 'a', transport: rabbitmq({ exchange: 'shop' }) }),
      MessagingModule.forRoot({ service: 'b', transport: nats({ stream: 'events' }), connection: 'events' }),
    ];
    @Module({ imports, providers: [Bridge, { provide: Orders, useValue: {} }] })
    class TwoModule {}
    const apart = await boot([TwoModule]);
    await apart.app.get(Bridge).publisher.publish('in', 1);
    await apart.app.get(Bridge).events.publish('in', 2, { topic: 'shop' });
    expect(await apart.probe.handled()).toMatchObject([{ connection: 'events', payload: 2 }]);
    await apart.probe.idle();
    expect(apart.probe.history.handled).toHaveLength(1);
    expect(apart.probe.broker()).not.toBe(apart.probe.broker('events'));
    expect(() => apart.probe.broker('other')).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
    await close?.();

    const together = await boot([TwoModule], { shared: true });
    await together.app.get(Bridge).publisher.publish('in', 3);
    expect(await together.probe.handled()).toMatchObject([{ connection: 'events', payload: 3 }]);
    expect(together.probe.broker()).toBe(together.probe.broker('events'));
  });

  test('a publish to the queues of others is accepted; or rejected, where that is asked for', async () => {
    const lenient = await boot();
    expect((await lenient.orders.publisher.publish('stock.taken', 1)).outcome).toBe('confirmed');
    await expect(lenient.orders.publisher.publish('stock.taken', 1, { unroutable: 'reject' })).rejects.toMatchObject({
      code: 'UNROUTABLE',
    });
    await close?.();
    const strict = await boot([AppModule], { unroutable: 'reject' });
    await expect(strict.orders.publisher.publish('stock.taken', 1)).rejects.toMatchObject({ code: 'UNROUTABLE' });
    expect(strict.probe.history.refused).toMatchObject([{ route: 'stock.taken' }]);
  });

  test('a broker that is down: publishes are queued, and go on when it is back', async () => {
    const { probe, orders } = await boot();
    probe.broker().faults.refuse();
    probe.broker().faults.disconnect();
    await orders.place('book');
    expect((await probe.published())[0].outcome).toBe('queued');
    await expect(probe.handled('order.created', { timeout: 20, within: 10_000 })).rejects.toThrow(/queued/);
    probe.broker().faults.accept();
    expect(await probe.handled('order.created')).toHaveLength(1);
  });

  test('closes with a handler that never ends and a broker that blocks, and tells who waits', async () => {
    const { app, probe, orders } = await boot();
    orders.invoice = () => new Promise<void>(() => {});
    await orders.publisher.publish('invoice.paid', 1);
    await probe.idle();
    probe.broker().faults.block(true);
    await orders.place('book');
    const waiting = expect(probe.handled()).rejects.toThrow(/The application was closed/);
    close = undefined;
    await app.close();
    await waiting;
    await expect(probe.handled()).rejects.toThrow(/The application is closed/);
    expect(log.lines.join('\n')).toContain('Not confirmed before the shutdown deadline');
  });

  test('a condition that throws is the error of who waits, and no publish fails of it', async () => {
    const { probe, orders } = await boot();
    const where = (): boolean => {
      throw new Error('a condition threw');
    };
    const waiting = expect(probe.published({ where })).rejects.toThrow('a condition threw');
    await orders.place('book');
    await waiting;
    expect(await probe.handled('order.created')).toHaveLength(1);
  });

  test('a timer of the application that throws is the error of who waits', async () => {
    const { probe } = await boot();
    probe.clock.after(1_000, () => {
      throw new Error('a timer threw');
    });
    await expect(probe.handled()).rejects.toThrow('a timer threw');
    await expect(probe.handled({}, { timeout: 1 })).rejects.toThrow(ExpectationError);
  });

  test('what is wrong with the options of the application is told as in production', async () => {
    @Module({ imports: [MessagingModule.forRootAsync({ useFactory: () => ({ transport: rabbitmq() }) })] })
    class NamelessModule {}
    await expect(boot([NamelessModule])).rejects.toMatchObject({ code: 'INVALID_OPTION', option: 'service' });
    expect(() => MessagingTestingModule.forRoot({ nonsense: 1 } as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option: 'testing.nonsense' }),
    );
    expect(() => MessagingTestingModule.forRoot({ unroutable: 'queue' } as never)).toThrow(
      expect.objectContaining({ option: 'testing.unroutable' }),
    );
  });
});
