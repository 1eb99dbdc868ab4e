import { afterEach, describe, expect, test } from '@jest/globals';
import {
  type BatchContext,
  type MessageContext,
  type MessagingModuleOptions,
  MessagingModule,
  memory,
  Outcome,
} from 'nestjs-messaging';
import { request } from 'nestjs-messaging/request';
import { setImmediate as turn } from 'node:timers/promises';
import { type Application, boot, closeApplications, Seen } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

const propagate = ['correlationId', 'x-tenant', 'x-bytes'];

type Received = Pick<MessageContext, 'id' | 'correlationId' | 'headers'>;

const read = ({ correlationId, headers }: Received): object => ({ correlationId, tenant: headers['x-tenant'] });

function application(options: Partial<MessagingModuleOptions> = {}): Promise<Application> {
  return boot({
    imports: [MessagingModule.forRoot({ service: 'orders', transport: memory(), propagate, ...options })],
  });
}

/** What is published on a route, as it arrives. */
async function watch({ messaging }: Application, route = 'next'): Promise<Seen<MessageContext>> {
  const seen = new Seen<MessageContext>();
  await messaging.subscribe({ route }, (_, context) => seen.add(context));
  return seen;
}

describeAllBrokers('What propagate names', (fresh) => {
  test('flows from the message in hand through every way of publishing, and of nothing else', async () => {
    const app = await application({ transport: (await fresh())() });
    const { publisher } = app.messaging;
    const seen = await watch(app);
    const { queue } =
      (await app.messaging.subscribe({ route: 'direct', queue: 'direct' }, (_, c) => seen.add(c)), { queue: 'direct' });
    await app.messaging.subscribe({ route: 'first' }, async () => {
      await publisher.publish('next', {}, { id: 'published' });
      await publisher.sendToQueue(queue, {}, { id: 'sent' });
      await publisher.publishMany([{ route: 'next', body: {}, id: 'one of many' }]);
      publisher.emit('next', {}, { id: 'emitted' });
    });
    const headers = { 'x-tenant': 'acme', 'x-bytes': Buffer.from([0, 255]), 'x-other': 'stays' };
    await publisher.publish('first', {}, { correlationId: 'c-1', headers });
    const all = await seen.until(4);
    expect(all.map(({ id }) => id).sort()).toEqual(['emitted', 'one of many', 'published', 'sent']);
    for (const one of all) {
      expect(read(one)).toEqual({ correlationId: 'c-1', tenant: 'acme' });
      expect(one.headers['x-other']).toBeUndefined();
      expect(Buffer.from(one.headers['x-bytes'] as Uint8Array)).toEqual(Buffer.from([0, 255]));
    }
    await publisher.publish('next', {});
    expect(read((await seen.until(5))[4])).toEqual({ correlationId: undefined, tenant: undefined });
  });

  test('flows on in retries, and in the loop of receive within message.run', async () => {
    const app = await application({ transport: (await fresh())(), retry: { attempts: 2, backoff: 20 } });
    const { messaging } = app;
    const seen = await watch(app);
    await messaging.subscribe({ route: 'first' }, async (_, { attempt }) => {
      if (attempt === 1) throw new Error('once more');
      await messaging.publisher.publish('second', {});
    });
    await (await messaging.subscribe({ route: 'second' }, () => undefined)).stop();
    const receiver = messaging.receive('second');
    const received = receiver.next();
    await messaging.publisher.publish('first', {}, { correlationId: 'c-1', headers: { 'x-tenant': 'acme' } });
    const { value: message } = await received;
    await message!.run(() => messaging.publisher.publish('next', {}));
    await message!.ack();
    await receiver.return();
    expect((await seen.until(1)).map(read)).toEqual([{ correlationId: 'c-1', tenant: 'acme' }]);
  });

  test('flows with a request, to what its responder publishes and asks for', async () => {
    const app = await application({ transport: (await fresh())() });
    const { messaging } = app;
    const seen = await watch(app);
    const price = request<object, string>('price');
    await messaging.subscribe({ route: 'price' }, async (_, context) => {
      seen.add(context);
      await messaging.publisher.publish('next', {});
      return 'answered';
    });
    const answers = new Seen<string>();
    await messaging.subscribe({ route: 'first' }, async () =>
      answers.add(await messaging.requester.request(price, {})),
    );
    await messaging.publisher.publish('first', {}, { correlationId: 'c-1', headers: { 'x-tenant': 'acme' } });
    expect(await answers.until(1)).toEqual(['answered']);
    const [asked, published] = await seen.until(2);
    expect(asked.headers['x-tenant']).toBe('acme');
    expect(asked.correlationId).not.toBe('c-1');
    expect(read(published)).toEqual({ correlationId: 'c-1', tenant: 'acme' });
  });
});

describe('What propagate names', () => {
  test('is kept apart in 1,000 handlers that take turns', async () => {
    const app = await application();
    const { publisher } = app.messaging;
    const seen = await watch(app);
    await app.messaging.subscribe({ route: 'first', prefetch: 1_000 }, async (payload) => {
      for (let i = 0; i < 5; i++) await turn();
      await publisher.publish('next', payload);
    });
    const ids = Array.from({ length: 1_000 }, (_, i) => `c-${i}`);
    await publisher.publishMany(
      ids.map((id) => ({ route: 'first', body: { id }, correlationId: id, headers: { 'x-tenant': id } })),
    );
    const all = await seen.until(1_000);
    for (const one of all) {
      const { id } = one.payload as { id: string };
      expect(read(one)).toEqual({ correlationId: id, tenant: id });
    }
  });

  test('yields to what the publish says itself, also where that is that there is none', async () => {
    const app = await application();
    const { publisher } = app.messaging;
    const seen = await watch(app);
    await app.messaging.subscribe({ route: 'first' }, async () => {
      await publisher.publish('next', {}, { correlationId: 'own', headers: { 'x-tenant': 'own', mine: 1 } });
      await publisher.publish('next', {}, { headers: { 'x-tenant': undefined } });
    });
    await publisher.publish('first', {}, { correlationId: 'c-1', headers: { 'x-tenant': 'acme' } });
    const [own, none] = await seen.until(2);
    expect(read(own)).toEqual({ correlationId: 'own', tenant: 'own' });
    expect(own.headers.mine).toBe(1);
    expect(read(none)).toEqual({ correlationId: 'c-1', tenant: undefined });
  });

  test('begins with the id of a message that has no correlation id', async () => {
    const app = await application();
    const seen = await watch(app);
    await app.messaging.subscribe({ route: 'first' }, () => app.messaging.publisher.publish('next', {}));
    await app.messaging.publisher.publish('first', {}, { id: 'm-1' });
    expect((await seen.until(1))[0].correlationId).toBe('m-1');
  });

  test('is of a batch what all its messages have in common', async () => {
    const app = await application();
    const { messaging } = app;
    const seen = await watch(app);
    const sizes = new Seen<BatchContext>();
    await messaging.subscribeBatch({ route: 'first', size: 2, maxWait: 60_000 }, async (_, context) => {
      sizes.add(context);
      await messaging.publisher.publish('next', {});
    });
    const acme = { 'x-tenant': 'acme' };
    const publish = (correlationId: string): Promise<unknown> =>
      messaging.publisher.publish('first', {}, { correlationId, headers: acme });
    for (const id of ['c-1', 'c-1', 'c-1', 'c-2']) await publish(id);
    expect((await seen.until(2)).map(read)).toEqual([
      { correlationId: 'c-1', tenant: 'acme' },
      { correlationId: undefined, tenant: 'acme' },
    ]);
    expect(sizes.all.map(({ size }) => size)).toEqual([2, 2]);
  });

  test('reaches middleware of handlers and of publishes, and not what is no work of a handler', async () => {
    const tenants: unknown[] = [];
    const app = await application({
      middleware: [
        async (context, next) => {
          if (context.route === 'first') await app.messaging.publisher.publish('next', {});
          return next();
        },
      ],
      publishMiddleware: [
        (publish, next) => {
          tenants.push([publish.route, publish.options.headers?.['x-tenant']]);
          return next(publish);
        },
      ],
    });
    const seen = await watch(app);
    await app.messaging.subscribe({ route: 'first' }, () => Outcome.ack);
    await app.messaging.publisher.publish('first', {}, { headers: { 'x-tenant': 'acme' } });
    await seen.until(1);
    expect(tenants).toEqual([
      ['first', 'acme'],
      ['next', 'acme'],
    ]);
  });

  test('leaves what is wrong with a publish to be refused as ever', async () => {
    const app = await application();
    const errors = new Seen<unknown>();
    await app.messaging.subscribe({ route: 'first' }, async () => {
      for (const options of [null, { headers: 'text' }, { headers: [] }, { correlationId: '' }])
        errors.add(await app.messaging.publisher.publish('next', {}, options as never).catch(({ code }) => code));
    });
    await app.messaging.publisher.publish('first', {}, { headers: { 'x-tenant': 'acme' } });
    expect(await errors.until(4)).toEqual(Array(4).fill('INVALID_OPTION'));
  });

  test.each([['x'], [['messaging-attempt']], [['']], [[1]]])('cannot be %j', (value) => {
    expect(() => MessagingModule.forRoot({ propagate: value as never })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('propagate') as unknown }),
    );
  });
});
