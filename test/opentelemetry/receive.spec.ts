import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { context as active, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { memory, MemoryBroker, type ReceivedMessage, type TransportFactory } from 'nestjs-messaging';
import { openTelemetry } from 'nestjs-messaging/opentelemetry';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, closeApplications } from '../e2e/support/application.js';
import { Collected, diagnosed, registerGlobals, unregisterGlobals } from './support/collected.js';
import { start as unit } from '../unit/support/application.js';
import { bootShop } from './support/shop.js';
import { describeTransports } from './support/transports.js';

beforeAll(registerGlobals);
afterAll(unregisterGlobals);

const orders = { route: 'order.created', name: 'orders' };
const queue = 'shop:orders:queue';
const RECEIVE = `receive ${queue}`;
const PROCESS = `process ${queue}`;
const ACK = `ack ${queue}`;

const idOf = (span: ReadableSpan): string => span.spanContext().spanId;
const parentOf = (span: ReadableSpan): string | undefined => span.parentSpanContext?.spanId;
const linked = (span: ReadableSpan): string[] => span.links.map(({ context }) => context.spanId);

let collected: Collected;
beforeEach(() => {
  collected = new Collected();
});
afterEach(async () => {
  await closeApplications();
  expect(diagnosed).toEqual([]);
});

const start = (transport: TransportFactory, options: object = {}): Promise<Application> =>
  bootShop(transport, collected, options);

/** Points of a metric, by the operation they are about. */
async function counts(name: string): Promise<Record<string, number>> {
  const points = (await collected.metrics()).get(name)?.dataPoints ?? [];
  return Object.fromEntries(
    points.map(({ attributes, value }) => [
      [attributes['messaging.operation.name'], attributes['messaging.destination.name']].join(' '),
      typeof value === 'number' ? value : (value as { count: number }).count,
    ]),
  );
}

describeTransports('a message that is asked for', (fresh) => {
  test('has a span for its receiving, its processing and its ack, the first two with a link to its publish', async () => {
    const transport = (await fresh())();
    const { messaging } = await start(transport);
    const { tracer } = collected;
    const received = messaging.receive(orders);
    const job = tracer.startSpan('job');
    const asked = active.with(trace.setSpan(active.active(), job), () => received.next());
    await waitFor(() => messaging.health().consumers[0]?.state === 'consuming', 'the consumer', 30_000);
    await messaging.publisher.publish('order.created', 1, { id: 'one', correlationId: 'c-1' });
    const message = (await asked).value!;
    const [receive] = await collected.ended(RECEIVE);
    expect(collected.named(PROCESS)).toEqual([]);
    expect(await message.ack()).toBe('ack');
    const [[process], [ack]] = await Promise.all([collected.ended(PROCESS), collected.ended(ACK)]);
    const [sent] = collected.named('send order.created').map(idOf);

    expect([receive.kind, process.kind, ack.kind]).toEqual([SpanKind.CLIENT, SpanKind.CONSUMER, SpanKind.CLIENT]);
    expect([linked(receive), linked(process), linked(ack)]).toEqual([[sent], [sent], []]);
    expect([parentOf(receive), parentOf(process), parentOf(ack)]).toEqual([
      idOf(job as never),
      undefined,
      idOf(process),
    ]);
    expect(receive.attributes).toMatchObject({
      'messaging.system': transport.system,
      'messaging.operation.name': 'receive',
      'messaging.operation.type': 'receive',
      'messaging.destination.name': queue,
      'messaging.consumer.group.name': 'shop',
      'messaging.message.id': 'one',
      'messaging.message.conversation_id': 'c-1',
    });
    expect(ack.attributes).toMatchObject({
      'messaging.operation.name': 'ack',
      'messaging.operation.type': 'settle',
      'messaging.message.id': 'one',
    });
    expect(await counts('messaging.client.operation.duration')).toEqual({
      'send order.created': 1,
      [RECEIVE]: 1,
      [ACK]: 1,
    });
    expect(await counts('messaging.client.consumed.messages')).toEqual({ [RECEIVE]: 1 });
    expect(await counts('messaging.process.duration')).toEqual({ [PROCESS]: 1 });
  });

  test('is processed in a context that `run` makes active, so that what is published in it leads on', async () => {
    const { messaging } = await start((await fresh())());
    const received = messaging.receive(orders);
    const first = received.next();
    await waitFor(() => messaging.health().consumers[0]?.state === 'consuming', 'the consumer', 30_000);
    await messaging.publisher.publish('order.created', 1);
    const message = (await first).value!;
    expect(trace.getSpan(active.active())).toBeUndefined();
    const result = await message.run(async () => {
      await Promise.resolve();
      await messaging.publisher.publish('order.packed', 1, { unroutable: 'ignore' });
      return 'packed';
    });
    expect(result).toBe('packed');
    expect(trace.getSpan(active.active())).toBeUndefined();
    await message.nack(new RangeError('too large'));
    const [[process], [packed], [retry]] = await Promise.all(
      [PROCESS, 'send order.packed', `retry ${queue}`].map((name) => collected.ended(name)),
    );
    expect([parentOf(packed), parentOf(retry)]).toEqual([idOf(process), idOf(process)]);
    expect(process.attributes['error.type']).toBe('RangeError');
    expect(collected.named(ACK)).toEqual([]);
  });
});

describe('a loop', () => {
  const loop = async (options: object = {}): Promise<{ application: Application; broker: MemoryBroker }> => {
    const broker = new MemoryBroker();
    return { application: await start(memory({ broker }), options), broker };
  };

  test('that gets no message has no span', async () => {
    const { messaging } = (await loop()).application;
    const received = messaging.receive(orders);
    const asked = received.next();
    await waitFor(() => messaging.health().consumers[0]?.state === 'consuming', 'the consumer', 30_000);
    await received.return();
    expect((await asked).done).toBe(true);
    expect(collected.spans).toEqual([]);
  });

  test('of messages that wait here already has a span for each, from when it was asked for', async () => {
    const { messaging } = (await loop()).application;
    const received = messaging.receive({ ...orders, prefetch: 5 });
    const take = async (): Promise<ReceivedMessage> => (await received.next()).value!;
    const first = take();
    await waitFor(() => messaging.health().consumers[0]?.state === 'consuming', 'the consumer', 30_000);
    for (const body of [1, 2, 3]) await messaging.publisher.publish('order.created', body);
    await (await first).ack();
    expect(collected.named(RECEIVE)).toHaveLength(1);
    for (const message of [await take(), await take()]) await message.ack();
    expect(collected.named(RECEIVE).flatMap(linked)).toEqual(collected.named('send order.created').map(idOf));
    expect(await counts('messaging.client.consumed.messages')).toEqual({ [RECEIVE]: 3 });
  });

  test('whose message is lost has no span for an ack that comes too late', async () => {
    const { application, broker } = await loop();
    const { messaging } = application;
    const received = messaging.receive(orders);
    const first = received.next();
    await waitFor(() => messaging.health().consumers[0]?.state === 'consuming', 'the consumer', 30_000);
    await messaging.publisher.publish('order.created', 1);
    const message = (await first).value!;
    broker.faults.disconnect();
    await waitFor(() => message.signal.aborted, 'the lost message', 30_000);
    expect(await message.ack()).toBe('released');
    const [process] = await collected.ended(PROCESS);
    expect([process.status.code, process.attributes['error.type']]).toEqual([SpanStatusCode.ERROR, 'DELIVERY_LOST']);
    expect(collected.named(ACK)).toEqual([]);
  });

  test('whose ack nobody answers has a failed span for it, though its message was processed well', async () => {
    const telemetry = openTelemetry({ tracer: collected.tracer, meter: collected.meter });
    const application = await unit({ service: 'shop', telemetry });
    const { messaging, transport } = application;
    const first = messaging.receive(orders).next();
    await application.turn();
    Object.assign(transport.subscriptions[0].deliver(), { ackConfirmed: async () => false });
    expect(await (await first).value!.ack()).toBe('released');
    const [[process], [ack]] = [collected.named(PROCESS), collected.named(ACK)];
    expect([process.status.code, ack.status.code]).toEqual([SpanStatusCode.UNSET, SpanStatusCode.ERROR]);
    expect([ack.attributes['error.type'], parentOf(ack)]).toEqual(['DELIVERY_LOST', idOf(process)]);
  });

  test('without telemetry only calls what `run` is given', async () => {
    const { messaging } = (await loop({ telemetry: undefined })).application;
    const received = messaging.receive(orders);
    const first = received.next();
    await waitFor(() => messaging.health().consumers[0]?.state === 'consuming', 'the consumer', 30_000);
    await messaging.publisher.publish('order.created', 1);
    const message = (await first).value!;
    expect(message.run(() => 7)).toBe(7);
    await message.ack();
    expect(collected.spans).toEqual([]);
  });
});
