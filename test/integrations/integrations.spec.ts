import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Injectable, type ModuleMetadata } from '@nestjs/common';
import { fixed, memory, type MessageContext, MessagingModule, Outcome, Subscribe } from 'nestjs-messaging';
import {
  bridgeEvents,
  cls,
  clsHeaders,
  eventsAsMessages,
  nestPino,
  sentry,
  toCommandBus,
  toEventBus,
} from 'nestjs-messaging/integrations';
import { prometheus } from 'nestjs-messaging/prometheus';
import { Recurring } from 'nestjs-messaging/recurring';
import { ManualClock } from 'nestjs-messaging/testing';
import { setImmediate as turn } from 'node:timers/promises';
import { type Application, boot, closeApplications, event, Seen } from '../e2e/support/application.js';
import { metric, requeueMetric } from '../../lib/opentelemetry/conventions.js';
import { SharedCoordination } from '../e2e/support/shared-coordination.js';
import { integrationPackages } from './packages.js';

const load = integrationPackages();

afterEach(closeApplications);

function start(
  options: Parameters<typeof MessagingModule.forRoot>[0],
  { imports = [], providers = [] }: ModuleMetadata = {},
): Promise<Application> {
  const retry = { attempts: 2, backoff: fixed(1) };
  const module = MessagingModule.forRoot({ service: 'orders', transport: memory(), retry, ...options });
  return boot({ imports: [...imports, module], providers });
}

test('sentry reports what a handler gives up by itself, at its first attempt, and not what it retries', async () => {
  const captured: unknown[] = [];
  const client = {
    withIsolationScope: (work: any) => work({ setContext() {}, setTag() {}, setFingerprint() {} }),
    startSpan: (_: object, work: any) => work(),
    captureException: (error: unknown) => captured.push((error as Error).message),
  };
  const { messaging } = await start({ middleware: [sentry(client)] });
  const outcomes: Record<string, Outcome> = {
    dead: Outcome.deadLetter('unrecoverable', new Error('dead')),
    dropped: Outcome.discard(new Error('dropped')),
    again: Outcome.retry(3_600_000, new Error('again')),
  };
  const seen = new Seen<unknown>();
  for (const [route, outcome] of Object.entries(outcomes))
    await messaging.subscribe({ route }, () => (seen.add(route), outcome));
  for (const route of ['again', 'dead', 'dropped']) await messaging.publisher.publish(route, {});
  await seen.until(3);
  await turn();
  expect(captured.sort()).toEqual(['dead', 'dropped']);
});

test('an emitter that throws at once does not keep the next event of this process from going out', async () => {
  const listeners: ((event: string, value: unknown) => void)[] = [];
  const failed = new Seen<unknown>();
  const emitter: any = {
    onAny: (listener: (event: string) => void) => listeners.push(listener),
    offAny() {},
    emitAsync() {
      failed.add(1);
      throw new Error('no listener of all events was called');
    },
  };
  const { messaging } = await start({ retry: { attempts: 1 } });
  const sent = new Seen<unknown>();
  await messaging.subscribe({ route: 'out' }, (body) => sent.add(body));
  const end = await bridgeEvents(emitter, messaging, { out: ['out'], in: ['in'] });
  await messaging.publisher.publish('in', {});
  await failed.until(1);
  for (const listener of listeners) listener('out', { n: 1 });
  for (const listener of listeners) listener('out', { n: 2 });
  await sent.until(2);
  await end();
});

(load ? describe : describe.skip)('beside the real package', () => {
  describe('nestjs-cls', () => {
    const { ClsModule, ClsServiceManager, CLS_ID } = load?.('nestjs-cls') ?? {};

    test('1,000 interleaved handlers keep their stores apart, before the handler and on publishing', async () => {
      const service = ClsServiceManager.getClsService();
      const { messaging } = await start(
        {
          middleware: [cls(service, ({ headers, id }: any) => ({ tenant: headers.tenant, [CLS_ID]: id }))],
          publishMiddleware: [clsHeaders(service, { 'x-tenant': 'tenant' })],
        },
        { imports: [ClsModule.forRoot({ global: true })] },
      );
      const seen = new Seen<unknown>();
      await messaging.subscribe({ route: 'next' }, (body, { headers }) => seen.add([body, headers['x-tenant']]));
      await messaging.subscribe({ route: 'first', prefetch: 1_000 }, async (_, { id }) => {
        for (let i = 0; i < 5; i++) await turn();
        expect(service.getId()).toBe(id);
        service.set('own', id);
        await turn();
        await messaging.publisher.publish('next', service.get('own'));
      });
      const ids = Array.from({ length: 1_000 }, (_, n) => `m-${n}`);
      await messaging.publisher.publishMany(
        ids.map((id) => ({ route: 'first', body: {}, id, headers: { tenant: `t-${id}` } })),
      );
      const all = (await seen.until(1_000)) as [string, string][];
      expect(all.map(([id]) => id).sort()).toEqual([...ids].sort());
      for (const [id, tenant] of all) expect(tenant).toBe(`t-${id}`);
      expect(service.isActive()).toBe(false);
    });

    test('a batch handler and the loop of receive have a store of their own', async () => {
      const service = ClsServiceManager.getClsService();
      const { messaging } = await start({ middleware: [cls(service, ({ queue }) => ({ queue }))] });
      const seen = new Seen<unknown>();
      await messaging.subscribeBatch({ route: 'many', size: 2 }, () => seen.add(service.get('queue')));
      await messaging.publisher.publish('many', {});
      await messaging.publisher.publish('many', {});
      expect(await seen.until(1)).toEqual(['orders:many:queue']);
      await (await messaging.subscribe({ route: 'pulled' }, () => undefined)).stop();
      await messaging.publisher.publish('pulled', {});
      for await (const message of messaging.receive('pulled')) {
        expect(service.isActive()).toBe(false);
        expect(message.run(() => service.get('queue'))).toBe('orders:pulled:queue');
        await message.ack();
        break;
      }
    });
  });

  test('nestjs-pino: lines of 1,000 interleaved handlers carry their message, assign works, and others carry none', async () => {
    const { LoggerModule, PinoLogger } = load!('nestjs-pino');
    const lines: any[] = [];
    const stream = { write: (line: string) => lines.push(JSON.parse(line)) };
    const before = await boot({
      imports: [
        LoggerModule.forRoot({ pinoHttp: [{ level: 'info' }, stream] }),
        MessagingModule.forRootAsync({
          inject: [PinoLogger],
          useFactory: ((logger: any) => ({
            service: 'orders',
            middleware: [nestPino(logger, ({ queue }) => ({ from: queue }))],
          })) as never,
        }),
      ],
    });
    const logger = await before.app.resolve<any>(PinoLogger);
    const done = new Seen<string>();
    await before.messaging.subscribe({ route: 'asked' }, async (_, { id }) => {
      logger.assign({ user: id });
      await turn();
      logger.info('handled');
      done.add(id);
    });
    for (const id of ['a', 'b']) await before.messaging.publisher.publish('asked', {}, { id, correlationId: 'c' });
    await done.until(2);
    await before.messaging.subscribe({ route: 'many', prefetch: 1_000 }, async (_, { id }) => {
      for (let turns = 0; turns < 3; turns++) await turn();
      logger.assign({ user: id });
      await turn();
      logger.info('interleaved');
      done.add(id);
    });
    const ids = Array.from({ length: 1_000 }, (_, n) => `m-${n}`);
    await before.messaging.publisher.publishMany(ids.map((id) => ({ route: 'many', body: {}, id })));
    await done.until(1_002);
    const interleaved = lines.filter(({ msg }) => msg === 'interleaved');
    expect(interleaved.map(({ user }) => user).sort()).toEqual([...ids].sort());
    for (const { user, message } of interleaved) expect(message.messageId).toBe(user);
    logger.info('elsewhere');
    const own = lines.filter(({ msg }) => msg === 'handled' || msg === 'elsewhere');
    expect(own.map(({ user, from }) => [user, from])).toEqual([
      ['a', 'orders:asked:queue'],
      ['b', 'orders:asked:queue'],
      [undefined, undefined],
    ]);
    const queue = 'orders:asked:queue';
    expect(own[0].message).toEqual({ queue, route: 'asked', messageId: 'a', attempt: 1, correlationId: 'c' });
    expect(own[2].message).toBeUndefined();
  });

  describe('Sentry', () => {
    const Sentry = load?.('@sentry/node');
    let events: any[];
    let spans: any[];

    beforeEach(() => {
      events = [];
      spans = [];
      Sentry.init({
        dsn: 'https://public@localhost/1',
        tracesSampleRate: 1,
        defaultIntegrations: false,
        transport: () => ({ send: async () => ({}), flush: async () => true }),
        beforeSend: (sent: any) => (events.push(sent), null),
      });
      Sentry.getClient().on('spanEnd', (span: unknown) => spans.push(Sentry.spanToJSON(span)));
    });

    afterEach(() => Sentry.close());

    test('the scopes of 1,000 interleaved handlers are their own, and each error is captured once, when its message is given up', async () => {
      const { messaging } = await start({ middleware: [sentry(Sentry)] });
      const dead = new Seen<unknown>();
      messaging.events.on('dead-lettered', (one) => dead.add(one));
      await messaging.subscribe({ route: 'pay', prefetch: 1_000 }, async (_, { id }) => {
        Sentry.setTag('own', id);
        for (let i = 0; i < 3; i++) await turn();
        throw new TypeError(`${id} is broken`);
      });
      const ids = Array.from({ length: 1_000 }, (_, n) => `m-${n}`);
      await messaging.publisher.publishMany(ids.map((id) => ({ route: 'pay', body: {}, id })));
      await dead.until(1_000);
      await Sentry.flush(5_000);
      expect(events.map(({ contexts }) => contexts.message.messageId).sort()).toEqual([...ids].sort());
      for (const { tags, contexts, fingerprint, exception } of events) {
        const id = contexts.message.messageId;
        expect(tags).toMatchObject({ own: id, 'messaging.queue': 'orders:pay:queue' });
        expect(contexts.message).toMatchObject({ attempt: 2, route: 'pay' });
        expect(fingerprint).toEqual(['pay', 'TypeError']);
        expect(exception.values[0].value).toBe(`${id} is broken`);
      }
      expect(spans).toHaveLength(2_000);
      expect(spans[0]).toMatchObject({ name: 'pay', is_segment: true, attributes: { 'sentry.op': 'queue.process' } });
    });

    test('with everyAttempt each failure is captured, and what cannot be repaired at its first', async () => {
      const { messaging } = await start({ middleware: [sentry(Sentry, { everyAttempt: true })] });
      const dead = event(messaging, 'dead-lettered');
      await messaging.subscribe({ route: 'pay' }, () => {
        throw new Error('broken');
      });
      await messaging.publisher.publish('pay', {});
      await dead;
      await Sentry.flush(5_000);
      expect(events.map(({ contexts }) => contexts.message.attempt)).toEqual([1, 2]);
    });
  });

  test('prom-client: counters, histograms and gauges are in the registry, with the names of the conventions', async () => {
    const { Registry } = load!('prom-client');
    const registry = new Registry();
    const { messaging } = await start({ telemetry: prometheus({ registry }) });
    const dead = event(messaging, 'dead-lettered');
    await messaging.subscribe({ route: 'pay' }, () => {
      throw new TypeError('broken');
    });
    await messaging.publisher.publish('pay', {});
    await dead;
    const value = async (name: string, labels: Record<string, string> = {}): Promise<number> => {
      const all = (await registry.getMetricsAsJSON()) as any[];
      const values = all.flatMap((one) => one.values.map((each: any) => ({ metricName: one.name, ...each })));
      return values
        .filter((one) => one.metricName === name)
        .filter((one) => Object.entries(labels).every(([key, wanted]) => one.labels[key] === wanted))
        .reduce((sum, one) => sum + (one.value as number), 0);
    };
    expect(await value('messaging_client_sent_messages_total', { messaging_destination_name: 'pay' })).toBe(1);
    expect(await value('messaging_client_consumed_messages_total')).toBe(2);
    expect(await value('nestjs_messaging_consumer_dead_lettered_messages_total', { error_type: 'TypeError' })).toBe(1);
    expect(await value('messaging_process_duration_seconds_count', { error_type: 'TypeError' })).toBe(2);
    expect(await value('messaging_process_duration_seconds_bucket', { le: '+Inf' })).toBe(2);
    expect(await value('nestjs_messaging_publisher_retry_queue_depth')).toBe(0);
    const text = (await registry.metrics()) as string;
    expect(text).toContain('# TYPE messaging_process_duration_seconds histogram');
    expect(text).toMatch(/messaging_client_sent_messages_total\{.*messaging_system="memory".*\} 1/);
    registry.resetMetrics();
    expect(await value('messaging_client_sent_messages_total')).toBe(0);
    const second = await start({ telemetry: prometheus({ registry }) });
    const entered = new Seen<unknown>();
    let leave = (): void => undefined;
    await second.messaging.subscribe({ route: 'held' }, (_, { queue }) => {
      entered.add(queue);
      return new Promise<void>((resolve) => (leave = resolve));
    });
    await second.messaging.publisher.publish('held', {});
    await entered.until(1);
    const held = { messaging_destination_name: 'orders:held:queue' };
    expect(await value('nestjs_messaging_consumer_in_flight', held)).toBe(1);
    leave();
    const { Gauge } = load!('prom-client');
    const taken = new Registry();
    new Gauge({ name: 'messaging_process_duration_seconds', help: 'of somebody else', registers: [taken] });
    await expect(start({ telemetry: prometheus({ registry: taken }) })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
  });

  test('prom-client: what is coordinated over processes is exported, with the type and the labels of the conventions', async () => {
    const { Registry } = load!('prom-client');
    const registry = new Registry();
    const clock = new ManualClock(Date.UTC(2030, 0, 1));
    const shared = new SharedCoordination(clock);
    class Ticks {
      @Recurring('*/5 * * * *', 'tick')
      due(): object {
        return {};
      }
    }
    const { messaging } = await shared.start({ telemetry: prometheus({ registry }) }, {}, [Ticks]);
    await messaging.subscribe({ route: 'tick' }, () => undefined);
    await messaging.subscribe({ route: 'job', limit: { rate: 1, per: 60_000 } }, () => undefined);
    for (let n = 0; n < 3; n++) await messaging.publisher.publish('job', { n });
    await clock.advance(301_000);
    await messaging.pauseEverywhere('tick');
    shared.down = true;
    await clock.advance(5_000);
    const lines = ((await registry.metrics()) as string).split('\n');
    const told = (name: string): string[] => [
      lines
        .find((line) => line.startsWith(`# TYPE ${name} `))
        ?.split(' ')
        .at(-1) ?? 'is missing',
      ...lines.filter((line) => line.startsWith(`${name}{`)),
    ];
    const at = (queue: string): string => `messaging_destination_name="shop:${queue}:queue"`;
    const [limited, recurring, errors] = ['consumer_limited_messages', 'recurring_times', 'store_errors'].map((name) =>
      told(`nestjs_messaging_${name}_total`),
    );
    expect(limited).toEqual(['counter', expect.stringMatching(new RegExp(`${at('job')}.* 2$`))]);
    const published = /nestjs_messaging_outcome="published".*nestjs_messaging_recurring_name="tick".* 1$/;
    expect(recurring).toEqual(['counter', expect.stringMatching(published)]);
    expect(errors[0]).toBe('counter');
    expect(errors).toContainEqual(expect.stringMatching(/nestjs_messaging_store_operation="pause".* 1$/));
    expect(told('nestjs_messaging_coordination_reachable')).toEqual(['gauge', expect.stringMatching(/ 0$/)]);
    const paused = told('nestjs_messaging_consumer_paused');
    expect(paused[0]).toBe('gauge');
    for (const [queue, value] of Object.entries({ job: 0, tick: 1 }))
      expect(paused).toContainEqual(expect.stringMatching(new RegExp(`${at(queue)}.* ${value}$`)));
    // All that is documented, of this module and of the requeue service.
    const documented = [...Object.values(metric), ...Object.values(requeueMetric)];
    const requeue = prometheus({ registry });
    await requeue.observeRequeue(() => []);
    const types = new Map(
      ((await registry.metrics()) as string)
        .split('\n')
        .filter((line) => line.startsWith('# TYPE '))
        .map((line) => line.split(' ').slice(2) as [string, string]),
    );
    const suffixes: Record<string, string> = { s: '_seconds', By: '_bytes' };
    for (const { name, instrument, unit } of documented) {
      const isCounter = instrument === 'counter' || instrument === 'observable counter';
      const exported = `${name.replaceAll('.', '_')}${isCounter ? '_total' : (suffixes[unit] ?? '')}`;
      expect([exported, types.get(exported)]).toEqual([exported, isCounter ? 'counter' : instrument]);
    }
    expect(types.size).toBe(documented.length);
  });

  test('@nestjs/cqrs: events go out as messages, and messages come in as events and commands', async () => {
    const { CqrsModule, EventBus, CommandBus, EventsHandler, CommandHandler } = load!('@nestjs/cqrs');
    const seen = new Seen<unknown>();
    class Paid {
      constructor(readonly order: string) {}
    }
    class Local {}
    class Ship {
      constructor(readonly order: string) {}
    }
    @EventsHandler(Paid, Local)
    class OnPaid {
      handle(one: object): void {
        seen.add([one.constructor.name, { ...one }]);
      }
    }
    let calls = 0;
    @CommandHandler(Ship)
    class OnShip {
      async execute(command: Ship): Promise<void> {
        if (++calls === 1) throw new Error('no lorry');
        seen.add([command instanceof Ship, command.order]);
      }
    }
    const { messaging, get } = await start({}, { imports: [CqrsModule.forRoot()], providers: [OnPaid, OnShip] });
    const bus: any = get(EventBus);
    bus.publisher = eventsAsMessages(messaging.publisher, bus.publisher, [[Paid, 'order.paid']]);
    await messaging.subscribe({ route: 'order.paid' }, toEventBus(bus, Paid));
    await messaging.subscribe({ route: 'order.ship' }, toCommandBus(get<any>(CommandBus), Ship));
    expect(await bus.publish(new Paid('o-1'))).toMatchObject({ outcome: 'confirmed' });
    expect(await seen.until(1)).toEqual([['Paid', { order: 'o-1' }]]);
    bus.publish(new Local());
    expect((await seen.until(2))[1]).toEqual(['Local', {}]);
    await messaging.publisher.publish('order.ship', { order: 'o-2' });
    expect((await seen.until(3))[2]).toEqual([true, 'o-2']);
    expect(calls).toBe(2);
  });

  test('@nestjs/event-emitter: what comes in is emitted, what it leads to goes out, and nothing goes round', async () => {
    const { EventEmitterModule, EventEmitter2, OnEvent } = load!('@nestjs/event-emitter');
    const seen = new Seen<unknown>();
    let failures = 1;
    @Injectable()
    class Listeners {
      constructor(private readonly emitter: InstanceType<typeof EventEmitter2>) {}
      @OnEvent('order.created', { suppressErrors: false })
      created(order: unknown): void {
        if (failures-- > 0) throw new Error('not yet');
        this.emitter.emit('order.packed', order);
      }
    }
    Reflect.defineMetadata('design:paramtypes', [EventEmitter2], Listeners);
    @Injectable()
    class Watch {
      @Subscribe('order.packed')
      packed(order: unknown, { route }: MessageContext): void {
        seen.add([route, order]);
      }
    }
    const app = await start({}, { imports: [EventEmitterModule.forRoot()], providers: [Listeners, Watch] });
    const { messaging } = app;
    const published = new Seen<unknown>();
    await messaging.subscribe({ route: 'order.created', name: 'spy' }, (order) => published.add(order));
    const emitter: any = app.get(EventEmitter2);
    const end = await bridgeEvents(emitter, messaging, { out: ['order.*'], in: ['order.created'] });
    await messaging.publisher.publish('order.created', { n: 1 });
    expect(await seen.until(1)).toEqual([['order.packed', { n: 1 }]]);
    expect(published.all).toEqual([{ n: 1 }]);
    await end();
    emitter.emit('order.packed', { n: 2 });
    await turn();
    expect(seen.all).toHaveLength(1);
  });
});
