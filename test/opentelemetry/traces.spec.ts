import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { context as active, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type BatchResult,
  diskRetryQueue,
  type MessageContext,
  Outcome,
  type TransportFactory,
} from 'nestjs-messaging';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, closeApplications, event, Seen } from '../e2e/support/application.js';
import { Collected, diagnosed, registerGlobals, unregisterGlobals } from './support/collected.js';
import { bootShop } from './support/shop.js';
import { describeTransports } from './support/transports.js';

beforeAll(registerGlobals);
afterAll(unregisterGlobals);

const SEND = 'send order.created';
const orders = { route: 'order.created', name: 'orders' };
const queue = 'shop:orders:queue';
const PROCESS = `process ${queue}`;

/** The span and trace a `traceparent` header names. */
function parsed({ headers }: MessageContext): { traceId: string; spanId: string } {
  const [, traceId, spanId] = (headers.traceparent as string).split('-');
  return { traceId, spanId };
}

const linked = (span: ReadableSpan): string[] => span.links.map(({ context }) => context.spanId);
const idOf = (span: Pick<ReadableSpan, 'spanContext'>): string => span.spanContext().spanId;

describeTransports('a trace', (fresh) => {
  let transport: () => TransportFactory;
  let collected: Collected;
  beforeEach(async () => {
    transport = await fresh();
    collected = new Collected();
  });
  afterEach(async () => {
    await closeApplications();
    expect(diagnosed).toEqual([]);
  });

  const start = (options: object = {}): Promise<Application> =>
    bootShop(transport(), collected, { retry: { attempts: 3, backoff: 20 }, ...options });

  test('of a request is within its own span, which ends with the answer, or with the code of the failure', async () => {
    const { messaging } = await start();
    await messaging.subscribe({ ...orders, answers: { always: true }, retry: false }, (body) => {
      if ((body as { fail?: boolean }).fail) throw new Error('no');
      return 'yes';
    });
    expect(await messaging.requester.request('order.created', {})).toBe('yes');
    await expect(messaging.requester.request('order.created', { fail: true })).rejects.toThrow('no');
    const [request, failed] = await collected.ended('request order.created', 2);
    const [send] = await collected.ended(SEND, 2);
    expect(request.kind).toBe(SpanKind.CLIENT);
    expect(send.parentSpanContext?.spanId).toBe(idOf(request));
    expect(request.attributes).toMatchObject({ 'nestjs_messaging.outcome': 'answered' });
    expect(failed.attributes).toMatchObject({ 'nestjs_messaging.outcome': 'failed', 'error.type': 'HANDLER_FAILED' });
    const [process] = await collected.ended(PROCESS, 2);
    expect(linked(process)).toContain(idOf(send));
    const points = (await collected.metrics()).get('nestjs_messaging.request.duration')?.dataPoints ?? [];
    expect(points.map(({ attributes }) => attributes['nestjs_messaging.outcome']).sort()).toEqual([
      'answered',
      'failed',
    ]);
  });

  test('leads from the caller over the publish to the handler and to what the handler does', async () => {
    const { messaging } = await start();
    const { tracer } = collected;
    const seen = new Seen<MessageContext>();
    await messaging.subscribe(orders, async (_, context) => {
      await Promise.resolve();
      tracer.startActiveSpan('reserve', (span) => span.end());
      await messaging.publisher.publish('stock.reserved', {}, { unroutable: 'ignore' });
      seen.add(context);
    });
    await tracer.startActiveSpan('request', async (request) => {
      await messaging.publisher.publish('order.created', { item: 'book' }, { id: 'one', correlationId: 'c-1' });
      request.end();
    });
    const [context] = await seen.until(1);
    const [[request], [send], [process], [reserve], [next]] = await Promise.all(
      ['request', SEND, PROCESS, 'reserve', 'send stock.reserved'].map((name) => collected.ended(name)),
    );
    expect(send.kind).toBe(SpanKind.PRODUCER);
    expect(send.parentSpanContext?.spanId).toBe(idOf(request));
    expect(parsed(context)).toEqual({ traceId: send.spanContext().traceId, spanId: idOf(send) });
    expect(process.kind).toBe(SpanKind.CONSUMER);
    expect(process.parentSpanContext).toBeUndefined();
    expect(process.spanContext().traceId).not.toBe(send.spanContext().traceId);
    expect(linked(process)).toEqual([idOf(send)]);
    expect(reserve.parentSpanContext?.spanId).toBe(idOf(process));
    expect(next.parentSpanContext?.spanId).toBe(idOf(process));
    const { system } = transport();
    expect(send.attributes).toMatchObject({
      'messaging.system': system,
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'order.created',
      'messaging.message.id': 'one',
      'messaging.message.conversation_id': 'c-1',
      'nestjs_messaging.outcome': 'confirmed',
    });
    expect(process.attributes).toMatchObject({
      'messaging.system': system,
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': queue,
      'messaging.consumer.group.name': 'shop',
      'messaging.message.id': 'one',
      'messaging.message.conversation_id': 'c-1',
      'nestjs_messaging.message.attempt': 1,
      'nestjs_messaging.outcome': 'ack',
    });
    const addresses = [send, process].map(({ attributes }) => [
      attributes['server.address'],
      attributes['server.port'],
    ]);
    for (const [address, port] of addresses) {
      if (system === 'memory') expect([address, port]).toEqual([undefined, undefined]);
      else expect([address, port]).toEqual([expect.any(String), expect.any(Number)]);
    }
    if (system === 'rabbitmq')
      for (const { attributes } of [send, process])
        expect(attributes['messaging.rabbitmq.destination.routing_key']).toBe('order.created');
  });

  test('stays with the message through delay, handler retry, dead letter and redrive', async () => {
    const { messaging } = await start();
    const seen = new Seen<string>();
    let broken = true;
    await messaging.subscribe(orders, (_, context) => {
      seen.add(context.headers.traceparent as string);
      if (broken) throw new TypeError('amqp://shop:hush-hush@broker is gone');
    });
    const dead = event(messaging, 'dead-lettered');
    await messaging.publisher.publish('order.created', {}, { id: 'one', delay: 30, headers: { tracestate: 'a=1' } });
    await dead;
    broken = false;
    await waitFor(async () => (await messaging.deadLetters.count()) === 1, 'the dead letter');
    const [{ headers }] = await messaging.deadLetters.list();
    expect((await messaging.deadLetters.redrive()).done).toBe(1);
    const contexts = await seen.until(4);
    expect(new Set([...contexts, headers.traceparent]).size).toBe(1);
    expect(headers.tracestate).toBe('a=1');

    const [send] = await collected.ended(SEND);
    const calls = await collected.ended(PROCESS, 4);
    for (const call of calls) expect(linked(call)).toEqual([idOf(send)]);
    expect(calls.map(({ attributes }) => attributes['nestjs_messaging.message.attempt'])).toEqual([1, 2, 3, 1]);
    expect(calls.map(({ attributes }) => attributes['nestjs_messaging.outcome'])).toEqual([
      'retry',
      'retry',
      'dead-letter',
      'ack',
    ]);
    const [failed, , , redriven] = calls;
    expect(failed.status.code).toBe(SpanStatusCode.ERROR);
    expect(failed.attributes['error.type']).toBe('TypeError');
    expect(JSON.stringify([failed.status, failed.events])).not.toContain('hush-hush');
    expect(failed.events[0].name).toBe('exception');
    expect(redriven.status.code).toBe(SpanStatusCode.UNSET);
    expect(redriven.attributes['error.type']).toBeUndefined();

    const [buried] = await collected.ended(`dead-letter ${queue}`);
    expect(buried).toMatchObject({ kind: SpanKind.CLIENT, attributes: { 'messaging.operation.type': 'settle' } });
    expect(buried.parentSpanContext?.spanId).toBe(idOf(calls[2]));
    expect(collected.named(`retry ${queue}`).map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual(
      calls.slice(0, 2).map(idOf),
    );
  });

  test('goes through the retry queue on the disk to another process, which sends in the same trace', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'telemetry-'));
    try {
      const retryQueue = { store: diskRetryQueue({ directory }), interval: 50 };
      const first = await start({ retryQueue, unroutable: 'queue' });
      const receipt = await first.messaging.publisher.publish('order.created', {}, { id: 'one' });
      expect(receipt).toMatchObject({ outcome: 'queued', stored: 'disk' });
      await first.close();
      const [queued] = collected.named(SEND);
      expect(queued.attributes).toMatchObject({ 'nestjs_messaging.outcome': 'queued' });
      expect(queued.status.code).toBe(SpanStatusCode.UNSET);

      const second = await start({ retryQueue });
      const seen = new Seen<MessageContext>();
      await second.messaging.subscribe(orders, (_, context) => seen.add(context));
      const [context] = await seen.until(1);
      expect(parsed(context)).toEqual({ traceId: queued.spanContext().traceId, spanId: idOf(queued) });
      await waitFor(
        () => collected.named(SEND).some(({ attributes }) => attributes['nestjs_messaging.outcome'] === 'confirmed'),
        'the send that was confirmed',
      );
      const resends = collected.named(SEND).slice(1);
      for (const resend of resends) {
        expect(resend.kind).toBe(SpanKind.CLIENT);
        expect(resend.parentSpanContext?.spanId).toBe(idOf(queued));
        expect(resend.attributes['messaging.message.id']).toBe('one');
      }
      const [process] = await collected.ended(PROCESS);
      expect(linked(process)).toEqual([idOf(queued)]);
    } finally {
      await closeApplications();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test('of each message of a batch is linked to by one span, in which the whole batch is handled', async () => {
    const { messaging } = await start();
    const failed = new Error('bad');
    await messaging.subscribeBatch(
      { ...orders, size: 3, maxWait: 60_000, prefetch: 6 },
      (bodies: number[]): BatchResult => {
        collected.tracer.startActiveSpan('store', (span) => span.end());
        return bodies.length === 1 ? undefined : bodies.map((body) => (body === 2 ? failed : Outcome.ack));
      },
    );
    for (const body of [1, 2, 3]) await messaging.publisher.publish('order.created', body);
    const [first, again] = await collected.ended(PROCESS, 2);
    const sent = collected.named(SEND).map(idOf);
    expect([...linked(first)].sort()).toEqual([...sent].sort());
    expect(first).toMatchObject({
      kind: SpanKind.CONSUMER,
      attributes: {
        'messaging.batch.message_count': 3,
        'nestjs_messaging.outcome': 'partial',
        'error.type': 'Error',
      },
    });
    expect(linked(again)).toEqual([sent[1]]);
    expect(again.attributes).toMatchObject({ 'messaging.batch.message_count': 1, 'nestjs_messaging.outcome': 'ack' });
    expect(collected.named('store').map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual(
      [first, again].map(idOf),
    );
    expect(collected.named(`retry ${queue}`).map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([
      idOf(first),
    ]);
    const points = await collected.points('messaging.client.consumed.messages');
    expect(points.map(({ value }) => value)).toEqual([4]);
  });

  test('is not changed where the publisher gives one', async () => {
    const { messaging } = await start();
    const seen = new Seen<MessageContext>();
    await messaging.subscribe(orders, (_, context) => seen.add(context));
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await messaging.publisher.publish('order.created', {}, { headers: { traceparent } });
    const [context] = await seen.until(1);
    expect(context.headers.traceparent).toBe(traceparent);
    const [[send], [process]] = await Promise.all([collected.ended(SEND), collected.ended(PROCESS)]);
    expect(send.kind).toBe(SpanKind.CLIENT);
    expect(linked(send)).toEqual(['b7ad6b7169203331']);
    expect(linked(process)).toEqual(['b7ad6b7169203331']);
  });

  test('of a publish that is refused says why; publishMany and emit are traced each', async () => {
    const { messaging } = await start();
    await messaging.subscribe(orders, () => undefined);
    await expect(messaging.publisher.publish('nobody.listens', {})).rejects.toMatchObject({ code: 'UNROUTABLE' });
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    await expect(messaging.publisher.publish('nobody.listens', cyclic)).rejects.toMatchObject({
      code: 'SERIALIZATION',
    });
    expect(
      (await collected.ended('send nobody.listens', 2)).map(({ attributes, status }) => [
        attributes['error.type'],
        status.code,
      ]),
    ).toEqual([
      ['UNROUTABLE', SpanStatusCode.ERROR],
      ['SERIALIZATION', SpanStatusCode.ERROR],
    ]);
    const parent = collected.tracer.startSpan('request');
    await active.with(trace.setSpan(active.active(), parent), async () => {
      await messaging.publisher.publishMany([1, 2, 3].map((body) => ({ route: 'order.created', body })));
      messaging.publisher.emit('order.created', 4);
    });
    parent.end();
    const sent = await collected.ended(SEND, 4);
    expect(new Set(sent.map(({ parentSpanContext }) => parentSpanContext?.spanId))).toEqual(new Set([idOf(parent)]));
    expect(new Set(sent.map(({ attributes }) => attributes['messaging.message.id'])).size).toBe(4);
    await collected.ended(PROCESS, 4);
  });
});
