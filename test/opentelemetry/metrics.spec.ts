import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Tracer } from '@opentelemetry/api';
import { InstrumentType } from '@opentelemetry/sdk-metrics';
import { memory, MemoryBroker, MessagingModule, type TransportFactory } from 'nestjs-messaging';
import { openTelemetry, type OpenTelemetryOptions } from 'nestjs-messaging/opentelemetry';
import { ManualClock } from 'nestjs-messaging/testing';
import { DURATION_BUCKETS, metric } from '../../lib/opentelemetry/conventions.js';
import { MAX_DESTINATIONS } from '../../lib/opentelemetry/destination-labels.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, closeApplications, event } from '../e2e/support/application.js';
import { Collected, diagnosed, registerGlobals, unregisterGlobals } from './support/collected.js';
import { bootShop } from './support/shop.js';
import { describeTransports } from './support/transports.js';

beforeAll(registerGlobals);
afterAll(unregisterGlobals);

let collected: Collected;
beforeEach(() => {
  collected = new Collected();
});
afterEach(closeApplications);

const start = (
  transport: TransportFactory,
  options: object = {},
  telemetry: OpenTelemetryOptions = collected,
): Promise<Application> => bootShop(transport, telemetry, options);

/** Without the broker's address, which is another one each time. */
function withoutAddress({ attributes, value }: { attributes: Record<string, unknown>; value?: unknown }): unknown {
  const { 'server.address': _address, 'server.port': _port, ...rest } = attributes;
  return value === undefined ? rest : { ...rest, value };
}

describeTransports('metrics', (fresh) => {
  test('count and time what is sent, handled, redelivered, dead-lettered and dropped', async () => {
    const transport = await fresh();
    const { system } = transport();
    const { messaging } = await start(transport());
    await messaging.subscribe({ route: 'order', group: 'audit' }, ({ bad }: { bad: boolean }) => {
      if (bad) throw new RangeError('bad');
    });
    await messaging.subscribe({ route: 'noise', dlq: false, retry: false }, () => {
      throw new Error('dropped');
    });
    const dead = event(messaging, 'dead-lettered');
    const dropped = event(messaging, 'settled', ({ outcome }) => outcome === 'discard');
    await messaging.publisher.publish('order', { bad: false });
    await messaging.publisher.publish('order', { bad: true });
    await messaging.publisher.publish('noise', {});
    await expect(messaging.publisher.publish('nowhere', {})).rejects.toMatchObject({ code: 'UNROUTABLE' });
    await Promise.all([dead, dropped]);

    const sent = { 'messaging.system': system, 'messaging.operation.name': 'send' };
    const order = { ...sent, 'messaging.destination.name': 'order' };
    const nowhere = { ...sent, 'messaging.destination.name': 'nowhere', 'error.type': 'UNROUTABLE' };
    const noise = { ...sent, 'messaging.destination.name': 'noise' };
    expect((await collected.points('messaging.client.sent.messages')).map(withoutAddress)).toEqual([
      { ...order, value: 2 },
      { ...noise, value: 1 },
      { ...nowhere, value: 1 },
    ]);
    const operations = await collected.histogram('messaging.client.operation.duration');
    const settle = {
      'messaging.system': system,
      'messaging.operation.type': 'settle',
      'messaging.destination.name': 'audit:order:queue',
      'messaging.consumer.group.name': 'audit',
    };
    const type = { 'messaging.operation.type': 'send' };
    const durations = operations.map((point) => ({
      ...(withoutAddress({ attributes: point.attributes }) as object),
      count: point.value.count,
    }));
    expect(durations).toHaveLength(5);
    expect(durations).toEqual(
      expect.arrayContaining([
        { ...order, ...type, count: 2 },
        { ...noise, ...type, count: 1 },
        { ...nowhere, ...type, count: 1 },
        { ...settle, 'messaging.operation.name': 'retry', count: 1 },
        { ...settle, 'messaging.operation.name': 'dead-letter', count: 1 },
      ]),
    );
    const handled = {
      'messaging.system': system,
      'messaging.operation.name': 'process',
      'messaging.destination.name': 'audit:order:queue',
      'messaging.consumer.group.name': 'audit',
    };
    const dropping = {
      ...handled,
      'messaging.destination.name': 'shop:noise:queue',
      'messaging.consumer.group.name': 'shop',
    };
    const consumed = (await collected.points('messaging.client.consumed.messages')).map(withoutAddress);
    expect(consumed).toHaveLength(2);
    expect(consumed).toEqual(
      expect.arrayContaining([
        { ...handled, value: 3 },
        { ...dropping, value: 1 },
      ]),
    );
    const calls = (await collected.histogram('messaging.process.duration')).map(({ attributes, value }) => ({
      ...(withoutAddress({ attributes }) as object),
      count: value.count,
    }));
    expect(calls).toHaveLength(3);
    expect(calls).toEqual(
      expect.arrayContaining([
        { ...handled, count: 1 },
        { ...handled, 'error.type': 'RangeError', count: 2 },
        { ...dropping, 'error.type': 'Error', count: 1 },
      ]),
    );
    const redelivered = await collected.points('nestjs_messaging.consumer.redelivered.messages');
    expect(redelivered.map(withoutAddress)).toEqual([{ ...handled, value: 1 }]);
    const deadLettered = await collected.points('nestjs_messaging.consumer.dead_lettered.messages');
    expect(deadLettered.map(withoutAddress)).toEqual([
      {
        'messaging.system': system,
        'messaging.destination.name': 'audit:order:queue',
        'nestjs_messaging.dead_letter.reason': 'attempts-exhausted',
        'error.type': 'RangeError',
        value: 1,
      },
    ]);
    const drops = await collected.points('nestjs_messaging.consumer.dropped.messages');
    expect(drops.map(withoutAddress)).toEqual([{ ...dropping, value: 1 }]);
    expect(diagnosed).toEqual([]);
  });
});

describe('metrics', () => {
  test('have the units, instruments and buckets of the conventions', async () => {
    const { messaging } = await start(memory());
    await messaging.subscribe({ route: 'order' }, () => undefined);
    await messaging.publisher.publish('order', 1);
    await waitFor(async () => (await collected.metrics()).has('messaging.process.duration'));
    const metrics = await collected.metrics();
    for (const name of ['messaging.client.operation.duration', 'messaging.process.duration']) {
      expect(metrics.get(name)!.descriptor).toMatchObject({ unit: 's', type: InstrumentType.HISTOGRAM });
      const [{ value }] = await collected.histogram(name);
      expect(value.buckets.boundaries).toEqual(DURATION_BUCKETS);
    }
    for (const name of ['messaging.client.sent.messages', 'messaging.client.consumed.messages'])
      expect(metrics.get(name)!.descriptor).toMatchObject({ unit: '{message}', type: InstrumentType.COUNTER });
    const names = Object.values(metric).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([...metrics.keys()]));
  });

  test('tell durations in seconds', async () => {
    const clock = new ManualClock();
    const { messaging } = await start(memory(), { clock });
    let finish!: () => void;
    let begun!: () => void;
    const running = new Promise<void>((resolve) => (begun = resolve));
    await messaging.subscribe({ route: 'order' }, () => {
      begun();
      return new Promise<void>((resolve) => (finish = resolve));
    });
    await messaging.publisher.publish('order', 1);
    await running;
    await clock.advance(1_500);
    const settled = event(messaging, 'settled');
    finish();
    await settled;
    const [{ value }] = await collected.histogram('messaging.process.duration');
    expect(value.sum).toBe(1.5);
  });

  test('observe what waits, with no question to the broker, until the application closes', async () => {
    const clock = new ManualClock();
    const broker = new MemoryBroker();
    const application = await start(memory({ broker }), { clock });
    const { messaging } = application;
    let finish!: () => void;
    await messaging.subscribe({ route: 'order', retry: false }, (body) =>
      body === 'bad' ? Promise.reject(new Error('no')) : new Promise<void>((resolve) => (finish = resolve)),
    );
    await messaging.publisher.publish('order', 'bad');
    await clock.advance(20_000);
    await messaging.publisher.publish('order', 'slow');
    await clock.advance(0);
    broker.faults.block(true);
    await messaging.publisher.publish('order', 'waits');
    await clock.advance(2_500);
    const before = broker.queues();
    const connection = { 'messaging.system': 'memory', 'nestjs_messaging.connection': 'default' };
    const of = async (name: string): Promise<unknown[]> =>
      (await collected.points(`nestjs_messaging.${name}`)).map(withoutAddress);
    expect(await of('publisher.retry_queue.depth')).toEqual([{ ...connection, value: 1 }]);
    expect(await of('publisher.retry_queue.oldest_age')).toEqual([{ ...connection, value: 2.5 }]);
    expect(await of('publisher.retry_queue.size')).toEqual([
      { ...connection, value: messaging.health().retryQueue.bytes },
    ]);
    expect(await of('publisher.dead_letters')).toEqual([{ ...connection, value: 0 }]);
    expect(await of('consumer.in_flight')).toEqual([
      { ...connection, 'messaging.destination.name': 'shop:order:queue', value: 1 },
    ]);
    expect(await of('dead_letter_queue.depth')).toEqual([
      { ...connection, 'messaging.destination.name': 'shop:order:dlq', value: 1 },
    ]);
    expect(broker.queues()).toEqual(before);
    broker.faults.clear();
    finish();
    await clock.advance(1_000);
    finish();
    await clock.advance(1_000);
    await application.close();
    const asked = jest.spyOn(messaging, 'health');
    await collected.metrics();
    expect(asked).not.toHaveBeenCalled();
  });

  test('name so many destinations, and no more; a template stands for any number', async () => {
    const { messaging } = await start(memory(), {
      unroutable: 'ignore',
      telemetry: openTelemetry({
        ...pick(collected),
        destinationTemplate: (name) => (name.startsWith('user.') ? 'user.*' : undefined),
      }),
    });
    const count = MAX_DESTINATIONS + 5;
    const routes = Array.from({ length: count }, (_, n) => [`user.${n}`, `room.${n}`]).flat();
    await messaging.publisher.publishMany(routes.map((route) => ({ route, body: 1 })));
    const points = await collected.points('messaging.client.sent.messages');
    const templated = points.filter(({ attributes }) => attributes['messaging.destination.template'] === 'user.*');
    expect(templated).toEqual([
      {
        attributes: {
          'messaging.system': 'memory',
          'messaging.operation.name': 'send',
          'messaging.destination.template': 'user.*',
        },
        value: count,
      },
    ]);
    const named = points.filter(({ attributes }) => 'messaging.destination.name' in attributes);
    expect(named).toHaveLength(MAX_DESTINATIONS - 1);
    const unnamed = points.find(({ attributes }) => Object.keys(attributes).length === 2)!;
    expect(unnamed.value).toBe(6);
    expect(collected.named('send user.*')).toHaveLength(count);
    expect(collected.named('send user.*')[7].attributes['messaging.destination.name']).toBe('user.7');
    expect(collected.named('send').map(({ attributes }) => attributes['messaging.destination.name'])).toHaveLength(6);
  });
});

describe('telemetry that fails', () => {
  test('loses no message: it is told to the diagnostic logger', async () => {
    diagnosed.length = 0;
    const broken = new Proxy(collected.tracer, {
      get: () => () => {
        throw new Error('no tracer');
      },
    }) satisfies Tracer;
    const { messaging } = await start(memory(), {}, { tracer: broken, meter: collected.meter });
    const acked = event(messaging, 'settled', ({ outcome }) => outcome === 'ack');
    await messaging.subscribe({ route: 'order' }, () => undefined);
    expect((await messaging.publisher.publish('order', 1)).outcome).toBe('confirmed');
    await acked;
    expect(diagnosed).toEqual(['nestjs-messaging: telemetry failed: no tracer']);
    diagnosed.length = 0;
  });
});

describe('openTelemetry', () => {
  test.each([
    [{ tracer: {} }, 'openTelemetry.tracer'],
    [{ meter: {} }, 'openTelemetry.meter'],
    [{ propagator: 1 }, 'openTelemetry.propagator'],
    [{ destinationTemplate: 'user.*' }, 'openTelemetry.destinationTemplate'],
    [{ semanticConventions: '1.30' }, 'openTelemetry.semanticConventions'],
    [{ nonsense: 1 }, 'openTelemetry.nonsense'],
  ])('refuses %j', (options, option) => {
    expect(() => openTelemetry(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', option }));
  });

  test('is refused by the module where it is something else', () => {
    expect(() => MessagingModule.forRoot({ telemetry: {} as never })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option: 'telemetry' }),
    );
  });

  test('needs no SDK: with none registered nothing is made, and messages have no context', async () => {
    const { messaging } = await start(memory(), {}, {});
    const headers = new Promise<object>((resolve) => {
      void messaging
        .subscribe({ route: 'order' }, (_, context) => resolve(context.headers))
        .then(() => messaging.publisher.publish('order', 1));
    });
    expect(await headers).not.toHaveProperty('traceparent');
  });
});

function pick({ tracer, meter }: Collected): OpenTelemetryOptions {
  return { tracer, meter };
}
