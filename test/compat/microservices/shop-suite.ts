import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { type ClientProxy, ClientsModule, RmqRecordBuilder } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { DeadLetters, Messaging, MessagingModule, Publisher, type TransportFactory } from 'nestjs-messaging';
import { MessagingClient, type MessagingRpcContext, MessagingStrategy } from 'nestjs-messaging/compat/microservices';
import { request, Requester } from 'nestjs-messaging/request';
import { nestEnvelope } from 'nestjs-messaging/serializers';
import { firstValueFrom, lastValueFrom, toArray } from 'rxjs';
import { CapturedLog, event } from '../../e2e/support/application.js';
import { sawing, Shop, untilSeen } from './shop.js';

/** What holds on every transport that has replies; `transport` is asked for once. */
export function shopSuite(transport: () => Promise<TransportFactory>): void {
  let app: INestApplication;
  let messaging: Messaging;
  let client: ClientProxy;
  const log = new CapturedLog();

  beforeAll(async () => {
    const chosen = await transport();
    const module = await Test.createTestingModule({
      imports: [
        MessagingModule.forRoot({ service: 'shop', transport: chosen, retry: { attempts: 2, backoff: 1 } }),
        ClientsModule.registerAsync([
          {
            name: 'SHOP',
            inject: [Messaging],
            useFactory: (own: Messaging) => ({
              customClass: MessagingClient,
              options: { messaging: own, headers: { via: 'client' } },
            }),
          },
        ]),
      ],
      controllers: [Shop],
    })
      .setLogger(log)
      .compile();
    app = module.createNestApplication();
    messaging = app.get(Messaging);
    app.connectMicroservice({ strategy: new MessagingStrategy(messaging) });
    // As Nest's documentation has it: before the application listens.
    await app.startAllMicroservices();
    await app.init();
    client = app.get<ClientProxy>('SHOP');
  }, 60_000);

  afterAll(async () => void (await app?.close()));

  const ask = (pattern: unknown, data: unknown): Promise<unknown> => firstValueFrom(client.send(pattern, data));
  const deadLetter = (reason: string): Promise<{ readonly error?: unknown }> =>
    event(messaging, 'dead-lettered', (one) => one.reason === reason);

  test('a request by a pattern that is an object is answered, whatever the order of its names', async () => {
    expect(await ask({ cmd: 'sum', service: 'math' }, [1, 2, 3])).toBe(6);
    expect(await ask({ service: 'math', cmd: 'sum' }, [4])).toBe(4);
  });

  test('every value of an Observable is a reply, in their order; the last ends it', async () => {
    const numbers = Array.from({ length: 20 }, (_, at) => at);
    expect(await lastValueFrom(client.send('math.stream', numbers).pipe(toArray()))).toEqual(numbers);
    expect(await lastValueFrom(client.send('math.stream', []).pipe(toArray()))).toEqual([]);
    expect(await lastValueFrom(client.send('math.none', {}).pipe(toArray()))).toEqual([]);
  });

  test('an Observable that fails tells its values first', async () => {
    const values: unknown[] = [];
    const error = await new Promise((told) =>
      client.send('math.broken-stream', {}).subscribe({ next: (value) => values.push(value), error: told }),
    );
    expect(values).toEqual([1]);
    expect(error).toEqual({ status: 'error', message: 'No more' });
  });

  test('pipes, interceptors, guards and filters are around a handler', async () => {
    expect(await ask('math.double', { value: '21' })).toBe(42);
    expect(await ask('math.guarded', { known: true })).toBe('welcome');
    await expect(ask('math.guarded', {})).rejects.toEqual({ status: 'error', message: 'Forbidden resource' });
    await expect(ask('math.filtered', 'too far')).rejects.toEqual({ status: 'range', message: 'too far' });
    await expect(ask('math.double', { value: 'x' })).rejects.toEqual({
      status: 'error',
      message: 'Internal server error',
    });
  });

  test('errors are told as Nest tells them', async () => {
    await expect(ask('math.fails', 'text')).rejects.toEqual({ status: 'error', message: 'There is none' });
    await expect(ask('math.fails', 'object')).rejects.toEqual({ code: 'OUT_OF_STOCK', next: 'June' });
    for (const how of ['error', 'http'])
      await expect(ask('math.fails', how)).rejects.toEqual({ status: 'error', message: 'Internal server error' });
  });

  test('a request without a handler is told so, where the queue takes it', async () => {
    await expect(ask('stock.changed', {})).rejects.toMatchObject({ code: 'UNROUTABLE' });
    const byQueue = new MessagingClient({ messaging, queue: 'shop:microservice:queue' });
    await expect(firstValueFrom(byQueue.send('no.such', {}))).rejects.toBe(
      'There is no matching message handler defined in the remote service.',
    );
    expect(await firstValueFrom(byQueue.send('math.double', { value: 4 }))).toBe(8);
    byQueue.close();
  });

  test('a request is sent when somebody listens, an event at once', async () => {
    const before = sawing('audit').length;
    const cold = client.send('audit.cold', {});
    client.emit('audit.hot', { hot: true });
    await untilSeen('audit', before + 1);
    expect(sawing('audit').at(-1)).toEqual(['audit', { hot: true }, 'audit.hot']);
    await lastValueFrom(cold, { defaultValue: undefined });
    expect(sawing('audit')).toHaveLength(before + 2);
  });

  test('a request that nobody answers in time is given up, and one that nobody listens to any more', async () => {
    const hasty = new MessagingClient({ messaging, timeout: 50 });
    await expect(firstValueFrom(hasty.send('math.slow', { ms: 200 }))).rejects.toMatchObject({
      code: 'REQUEST_TIMEOUT',
    });
    const pending = messaging.requester.pending;
    const subscription = client.send('math.slow', { ms: 100 }).subscribe();
    await new Promise((resolve) => setImmediate(resolve));
    subscription.unsubscribe();
    await new Promise((resolve) => setImmediate(resolve));
    expect(messaging.requester.pending).toBe(pending);
    hasty.close();
  });

  test('every handler of an event gets it, with its message and pattern', async () => {
    const record = new RmqRecordBuilder({ id: 7 })
      .setOptions({ headers: { tenant: 't1' }, messageId: 'order-7', expiration: 60_000, priority: 3 })
      .build();
    await lastValueFrom(client.emit('order.created', record));
    const [[, order, context]] = await untilSeen('order.created');
    await untilSeen('order.created too');
    expect(order).toEqual({ id: 7 });
    const own = context as MessagingRpcContext;
    expect(own.getPattern()).toBe('order.created');
    const { content, properties } = own.getMessage() as { content: Buffer; properties: Record<string, unknown> };
    expect(JSON.parse(content.toString())).toEqual({ pattern: 'order.created', data: { id: 7 } });
    expect(properties).toMatchObject({ messageId: 'order-7', priority: 3, headers: { tenant: 't1', via: 'client' } });
    expect(own.messaging).toMatchObject({ id: 'order-7', attempt: 1, route: 'order.created' });
    expect(own.getArgs()).toHaveLength(3);
    expect(own.getArgByIndex(2)).toBe('order.created');
  });

  test('wildcards of a pattern', async () => {
    client.emit('stock.7.changed', { left: 1 });
    expect(await untilSeen('stock')).toEqual([['stock', { left: 1 }, 'stock.7.changed']]);
  });

  test('a body of somebody else is an event of its route', async () => {
    await app.get(Publisher).publish('stock.8.changed', { plain: true });
    expect((await untilSeen('stock', 2))[1]).toEqual(['stock', { plain: true }, 'stock.8.changed']);
  });

  test('a requester of this package is answered in its envelope', async () => {
    const double = request<unknown, number>('math.double', { serializer: nestEnvelope() });
    expect(await app.get(Requester).request(double, { value: 3 })).toBe(6);
  });

  test('an event whose handler fails is retried, and becomes a dead letter with the error of the handler', async () => {
    const given = deadLetter('attempts-exhausted');
    client.emit('order.broken', { name: 'one' });
    const { error } = await given;
    expect(error).toEqual(new TypeError('broken one'));
    expect(sawing('order.broken')).toHaveLength(2);
  });

  test('the channel settles the message', async () => {
    const acked = event(messaging, 'settled', ({ outcome }) => outcome === 'ack');
    client.emit('order.settled', 'ack, then throw');
    await acked;
    for (const [how, reason] of [
      ['dead-letter', 'unrecoverable'],
      ['reject', 'unrecoverable'],
      ['requeue', 'attempts-exhausted'],
    ]) {
      const given = deadLetter(reason);
      client.emit('order.settled', how);
      expect(await given).toMatchObject({ error: { code: 'NACK' } });
    }
    for (const [how, says] of [
      ['all', 'allUpTo'],
      ['publish', 'inject Publisher and publish'],
    ]) {
      const given = deadLetter('attempts-exhausted');
      client.emit('order.settled', how);
      const { error } = await given;
      expect(error).toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining(says) });
    }
    client.emit('order.settled', 'late');
    while (!log.lines.some((line) => line.includes('came after the handler')))
      await new Promise((resolve) => setImmediate(resolve));
    expect(sawing('order.settled').filter(([, how]) => how === 'ack, then throw')).toHaveLength(1);
  });

  test('an event without a handler, sent to the queue by name, becomes a dead letter', async () => {
    const given = deadLetter('no-handler');
    await app.get(Publisher).sendToQueue('shop:microservice:queue', { pattern: 'no.such', data: 1 });
    expect(await given).toMatchObject({ error: { code: 'NO_HANDLER' } });
  });

  test('what cannot be said of a record is refused by name', async () => {
    for (const options of [
      { CC: 'x' },
      { BCC: 'x' },
      { userId: 'x' },
      { appId: 'x' },
      { type: 'x' },
      { contentEncoding: 'gzip' },
    ]) {
      const record = new RmqRecordBuilder({}).setOptions(options).build();
      const [name] = Object.keys(options);
      const refused = { code: 'UNSUPPORTED', message: expect.stringContaining(`«${name}»`) };
      await expect(lastValueFrom(client.emit('audit.record', record))).rejects.toMatchObject(refused);
      await expect(lastValueFrom(client.send('audit.record', record))).rejects.toMatchObject(refused);
    }
    expect(log.lines.join('\n')).toContain('An event could not be emitted');
  });

  test('a dead letter is redriven to its handler', async () => {
    const calls = sawing('order.broken').length;
    const given = deadLetter('attempts-exhausted');
    await app.get(DeadLetters).redrive({ route: 'order.broken' }, { limit: 1 });
    await given;
    expect(sawing('order.broken')).toHaveLength(calls + 2);
  });
}
