import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  diskRetryQueue,
  jsonSerializer,
  message,
  type MessageContract,
  type MessagingModuleOptions,
  type PublishMiddleware,
  type Serializer,
  type StandardSchema,
} from 'nestjs-messaging';
import { nestEnvelope, type SerializeContext, type SerializedPayload } from 'nestjs-messaging/serializers';
import { type Application, deferred, start } from '../support/application.js';
import { confirmed } from '../support/fake-transport.js';

/** A serializer that tells what it was told. */
class Told implements Serializer {
  readonly contexts: SerializeContext[] = [];

  constructor(private readonly headers: (context: SerializeContext) => SerializedPayload['headers']) {}

  serialize(payload: unknown, context: SerializeContext): SerializedPayload {
    this.contexts.push(context);
    return { body: Buffer.from(`told:${String(payload)}`), contentType: 'text/told', headers: this.headers(context) };
  }

  deserialize = (body: Buffer): unknown => body.toString().slice(5);
}

const echo = (): Told => new Told(({ id, route }) => ({ 'of-id': id, 'of-route': route, nested: { list: [1] } }));

const wire = (app: Application): object => {
  const { id, headers, body, properties } = app.transport.last.message;
  return { id, body: body.toString(), contentType: properties.contentType, headers };
};

async function published(app: Application, result: Promise<unknown>): Promise<void> {
  await app.turn();
  app.transport.settleAll(confirmed);
  await result;
}

const later: StandardSchema = {
  '~standard': { version: 1, vendor: 'test', validate: async (value) => ({ value }) },
};

describe('a serializer is told of the message that it writes', () => {
  test('all that is known, and what it says goes with the body, over what the publisher gave', async () => {
    const serializer = echo();
    const app = await start({ serializer });
    const contract = message<string>('order.created');
    const options = {
      ...{ id: 'the-id', key: 'k', correlationId: 'c', replyTo: 'r', ttl: 1_000 },
      headers: { tenant: 'blue', 'of-id': 'the publisher’s' },
    };
    await published(app, app.publisher.publish(contract, 'one', options));
    const time = app.clock.now();
    const own = { 'messaging-time': time, 'messaging-version': 1, 'messaging-key': 'k' };
    expect(serializer.contexts).toEqual([
      {
        ...{ id: 'the-id', route: 'order.created', key: 'k', time, correlationId: 'c', replyTo: 'r', contract },
        headers: { ...options.headers, ...own, 'messaging-expires-at': time + 1_000 },
      },
    ]);
    expect(Object.isFrozen(serializer.contexts[0].headers)).toBe(true);
    expect(wire(app)).toMatchObject({
      ...{ id: 'the-id', body: 'told:one', contentType: 'text/told' },
      headers: { tenant: 'blue', 'of-id': 'the-id', 'of-route': 'order.created', nested: { list: [1] }, ...own },
    });
  });

  test.each<[string, (app: Application, contract: MessageContract<string>) => Promise<unknown>]>([
    ['publish', (app, contract) => app.publisher.publish(contract, 'one')],
    ['publish by a schema that takes its time', (app) => app.publisher.publish(message('order.created', later), 'one')],
    ['publishMany', (app, route) => app.publisher.publishMany([{ route, body: 'one' }])],
    ['sendToQueue', (app) => app.publisher.sendToQueue('order.created', 'one')],
    [
      'compose',
      (app, route) =>
        app.publisher.compose(route, 'one', {}, async (publication) => {
          await Promise.all(app.publisher.relay([publication]));
          return {} as never;
        }),
    ],
  ])('by %s: the id is that of the message', async (_, send) => {
    for (const publishMiddleware of [[], [(request, next) => next(request)]] as PublishMiddleware[][]) {
      const serializer = echo();
      const app = await start({ serializer, publishMiddleware });
      void send(app, message<string>('order.created')).catch(() => undefined);
      await app.turn();
      const { id, headers } = app.transport.last.message;
      expect(headers).toMatchObject({ 'of-id': id, 'of-route': 'order.created', 'messaging-time': app.clock.now() });
      expect(serializer.contexts).toHaveLength(1);
    }
  });

  test('what middleware changed it is told of anew', async () => {
    const serializer = echo();
    const app = await start({
      serializer,
      publishMiddleware: [(request, next) => next({ ...request, options: { ...request.options, id: 'changed' } })],
    });
    await published(app, app.publisher.publish(message('order.created', later), 'one', { id: 'first' }));
    expect(wire(app)).toMatchObject({ id: 'changed', headers: { 'of-id': 'changed' } });
  });

  test('a body that waits for its schema is read when it was given', async () => {
    const gate = deferred();
    const app = await start({ serializer: echo() });
    const slow: StandardSchema = {
      '~standard': { version: 1, vendor: 'test', validate: (value) => gate.promise.then(() => ({ value })) },
    };
    const body = ['one'];
    const result = app.publisher.publish(message('order.created', slow), body);
    body[0] = 'two';
    gate.resolve();
    await published(app, result);
    expect(wire(app)).toMatchObject({ body: 'told:one' });
  });

  test.each([
    ['ours', { 'messaging-key': 'k' }],
    ['one that cannot be sent', { map: new Map() }],
    ['a list', ['a']],
    ['a number that is not finite', { n: NaN }],
  ])('headers of its own that are %s reject the publish', async (_, headers) => {
    const app = await start({ serializer: new Told(() => headers as never) });
    await expect(app.publisher.publish('order.created', 'one')).rejects.toMatchObject({ code: 'SERIALIZATION' });
    expect(app.transport.batches).toEqual([]);
  });

  test('its headers count: too many are refused, and nothing is sent', async () => {
    const app = await start({ serializer: new Told(() => ({ long: 'x'.repeat(61 * 1_024) })) });
    await expect(app.publisher.publish('order.created', 'one')).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
  });
});

test('what it made waits on disk as it is, and is sent as it is by the next process', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'serializers-'));
  const serializer = echo();
  const options = (): MessagingModuleOptions => ({ serializer, retryQueue: { store: diskRetryQueue({ directory }) } });
  const before = await start(options());
  before.transport.disconnected();
  const receipt = before.publisher.publish('order.created', 'büro', { id: 'the-id', headers: { tenant: 'blue' } });
  await before.turn();
  expect((await receipt).outcome).toBe('queued');
  const closing = before.messaging.close();
  await before.clock.advance(20_000);
  await closing;
  const after = await start(options());
  await after.clock.advance(5_000);
  const { id, route, body, headers, properties } = after.transport.last.message;
  expect({ id, route, body: body.toString(), properties }).toEqual({
    id: 'the-id',
    route: 'order.created',
    body: 'told:büro',
    properties: { contentType: 'text/told' },
  });
  const given = { tenant: 'blue', 'messaging-time': serializer.contexts[0].time, 'messaging-version': 1 };
  expect(headers).toEqual({ 'of-id': 'the-id', 'of-route': 'order.created', nested: { list: [1] }, ...given });
  expect(serializer.contexts).toHaveLength(1);
  after.transport.settleAll(confirmed);
  const end = after.messaging.close();
  await after.clock.advance(20_000);
  await end;
  rmSync(directory, { recursive: true });
});

describe('which serializer writes', () => {
  const inEnvelope = '{"pattern":"ours.evt","data":{"a":1}}';

  test('that of the contract, and over it the one of the publish', async () => {
    const renames: PublishMiddleware = ({ route, body, options }, next) => next({ route, body, options });
    for (const publishMiddleware of [[], [renames]]) {
      const app = await start({ publishMiddleware });
      const contract = message<{ a: number }>('ours.evt', { serializer: nestEnvelope() });
      await published(app, app.publisher.publish(contract, { a: 1 }));
      expect(wire(app)).toMatchObject({ body: inEnvelope, contentType: 'application/json' });
      await published(app, app.publisher.publishMany([{ route: contract, body: { a: 1 } }]));
      expect(wire(app)).toMatchObject({ body: inEnvelope });
      await published(app, app.publisher.publish(contract, { a: 1 }, { serializer: jsonSerializer }));
      expect(wire(app)).toMatchObject({ body: '{"a":1}' });
      const options = { serializer: nestEnvelope({ pattern: 'ours.evt' }) };
      await published(app, app.publisher.sendToQueue('theirs', { a: 1 }, options));
      expect(wire(app)).toMatchObject({ body: inEnvelope });
    }
  });

  test('one that is none is refused: in a contract, and in a publish', async () => {
    for (const serializer of [{}, null, 'json', { serialize: () => ({}) }]) {
      expect(() => message('a', { serializer: serializer as never })).toThrow(/serializer/);
      const app = await start();
      await expect(app.publisher.publish('a', 1, { serializer: serializer as never })).rejects.toMatchObject({
        code: 'INVALID_OPTION',
      });
    }
    expect(() => message('a', { serialiser: nestEnvelope() } as never)).toThrow(/schema/);
    expect(() => message('a', later, { serialiser: nestEnvelope() } as never)).toThrow(/did you mean/i);
  });
});
