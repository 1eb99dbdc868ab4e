import { afterEach, describe, expect, it } from '@jest/globals';
import { jsonSerializer, type PublishMiddleware, type StandardSchema } from 'nestjs-messaging';
import { type Application, deferred, start } from '../support/application.js';
import { confirmed } from '../support/fake-transport.js';

let app: Application | undefined;

afterEach(() => {
  app = undefined;
});

const headers = (): Record<string, never> =>
  ({ tenant: 'blue', list: ['a'], at: new Date(0), bytes: Buffer.from('bytes') }) as never;

const spoil = (given: { tenant?: unknown; list?: string[]; at?: Date; bytes?: Buffer }): void => {
  given.tenant = 'spoilt';
  given.list?.push('spoilt');
  given.at?.setTime(1);
  given.bytes?.fill(0);
};

/** What the transport was handed. */
function sent(): { body: string; headers: object } {
  const { body, headers: all } = app!.transport.last.message;
  const own = Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith('messaging-')));
  return { body: body.toString(), headers: own };
}

describe('what a publish waits for: what travels is what was given', () => {
  it('publish middleware that waits', async () => {
    const gate = deferred();
    const waits: PublishMiddleware = async (request, next) => {
      await gate.promise;
      return next(request);
    };
    app = await start({ publishMiddleware: [waits] });
    for (const send of ['publish', 'sendToQueue', 'emit'] as const) {
      const body = Buffer.from('body');
      const own = headers();
      const result = app.publisher[send]('order.created', body, { headers: own });
      body.fill(0);
      spoil(own);
      gate.resolve();
      await app.turn();
      expect(sent()).toEqual({ body: 'body', headers: { ...headers(), at: '1970-01-01T00:00:00.000Z' } });
      app.transport.settleAll(confirmed);
      await result;
    }
  });

  it('a schema that answers later: bytes and objects', async () => {
    const gate = deferred();
    const schema: StandardSchema = {
      '~standard': { version: 1, vendor: 'test', validate: (value) => gate.promise.then(() => ({ value })) },
    };
    app = await start();
    const order = { id: 1 };
    const bytes = Buffer.from('body');
    const own = headers();
    for (const body of [order, bytes]) {
      const receipt = app.publisher.publish({ route: 'order.created', schema } as never, body as never, {
        headers: own,
      });
      order.id = 2;
      bytes.fill(0);
      spoil(own);
      gate.resolve();
      await app.turn();
      expect(sent().body).toBe(body === order ? '{"id":1}' : 'body');
      app.transport.settleAll(confirmed);
      await receipt;
      bytes.write('body');
    }
  });

  it('the retry queue, with a serializer that writes into the same buffer again', async () => {
    const shared = Buffer.alloc(8);
    app = await start({
      serializer: {
        ...jsonSerializer,
        serialize: (text) => ({ body: shared.subarray(0, shared.write(text as string)) }),
      },
    });
    app.transport.disconnected();
    const tracked = ['first', 'second'].map((text) => app!.publish('order.created', text));
    await app.turn();
    expect(tracked.map(({ state }) => state)).toEqual(['queued', 'queued']);
    app.transport.connected();
    await app.turn();
    expect(app.transport.published.map(({ message }) => message.body.toString())).toEqual(['first', 'second']);
  });

  it('the retry queue, with a listener that changes where a message goes', async () => {
    app = await start();
    app.messaging.events.on('queued', ({ to }) => void Reflect.set(to, 'route', 'elsewhere'));
    app.transport.disconnected();
    app.publish('order.created', {});
    await app.turn();
    app.transport.connected();
    await app.turn();
    expect(app.transport.last.to).toEqual({ kind: 'route', route: 'order.created' });
  });
});
