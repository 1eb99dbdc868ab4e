import { inspect } from 'node:util';
import { afterEach, describe, expect, test } from '@jest/globals';
import { MessagingModule, Publisher } from 'nestjs-messaging';
import { nats, type NatsOptions } from 'nestjs-messaging/nats';
import { describeNatsNode } from '../brokers/nats.js';
import { freePorts } from '../brokers/free-ports.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event, Seen } from '../e2e/support/application.js';
import { Operator } from './operator.js';
import { closePlain, connectPlain, managerOf } from './plain.js';

function application(options: NatsOptions): Promise<Application> {
  const reconnect = { initial: 20, max: 100, jitter: 0 };
  return boot({ imports: [MessagingModule.forRoot({ service: 'shop', transport: nats(options), reconnect })] });
}

afterEach(async () => {
  await closeApplications();
  await closePlain();
});

describeNatsNode('an application on NATS', (server) => {
  test('publishes, handles, retries and dead-letters', async () => {
    const { url } = await server.start();
    const { messaging, get } = await application({ servers: url });
    const calls = new Seen<number>();
    await messaging.subscribe(
      { route: 'order.*', name: 'orders', retry: { attempts: 3, backoff: () => 50 } },
      (_, { attempt }) => {
        calls.add(attempt);
        throw new Error('no');
      },
    );
    const dead = event(messaging, 'dead-lettered');
    expect((await get(Publisher).publish('order.created', { item: 'book' }, { id: 'one' })).outcome).toBe('confirmed');
    await dead;
    expect(calls.all).toEqual([1, 2, 3]);
    const [letter] = await messaging.deadLetters.list({ subscription: 'orders' });
    expect(letter).toMatchObject({ id: 'one', reason: 'attempts-exhausted' });
    await expect(get(Publisher).publish('nobody.listens', {})).rejects.toMatchObject({ code: 'UNROUTABLE' });
  });

  describe('has the credentials', () => {
    /** It does not wait, and nothing of the error shows the secret. */
    async function refused(options: NatsOptions, secret: string, message: RegExp): Promise<void> {
      const failure = await application(options).then(
        () => undefined,
        (error: unknown) => error as Error,
      );
      expect(failure).toMatchObject({ code: 'BROKER_CONFIGURATION', message: expect.stringMatching(message) });
      expect(inspect(failure, { depth: 10 }) + JSON.stringify(failure)).not.toContain(secret);
    }

    async function works(options: NatsOptions, secret: string): Promise<void> {
      const { messaging, get, log } = await application(options);
      await messaging.subscribe({ route: 'a' }, () => undefined);
      expect((await get(Publisher).publish('a', 1)).outcome).toBe('confirmed');
      expect(log.lines.join() + JSON.stringify(messaging.health())).not.toContain(secret);
    }

    test('of a user', async () => {
      const { port } = await server.start({ user: { name: 'one', password: 'planted:right' } });
      const servers = `nats://127.0.0.1:${port}`;
      await works({ servers: `nats://one:planted%3Aright@127.0.0.1:${port}` }, 'planted');
      await works({ servers, options: { user: 'one', pass: 'planted:right' } }, 'planted');
      await refused({ servers: `nats://one:planted@127.0.0.1:${port}` }, 'planted', /refuses the credentials/);
      await refused({ servers, options: { user: 'one', pass: 'planted' } }, 'planted', /refuses the credentials/);
      await refused({ servers }, 'planted', /refuses the credentials/);
    });

    test('of a token', async () => {
      const { port } = await server.start({ conf: ['authorization: { token: "planted-right" }'] });
      const servers = `nats://127.0.0.1:${port}`;
      await works({ servers: `nats://planted-right@127.0.0.1:${port}` }, 'planted');
      await works({ servers, options: { token: 'planted-right' } }, 'planted');
      await refused({ servers: `nats://planted@127.0.0.1:${port}` }, 'planted', /refuses the credentials/);
      await refused({ servers, options: { token: 'planted' } }, 'planted', /refuses the credentials/);
    });

    test('of a creds file', async () => {
      const operator = new Operator();
      const { port } = await server.start({ conf: operator.conf });
      const servers = `nats://127.0.0.1:${port}`;
      const { path: credentials, secret } = operator.creds();
      await works({ servers, credentials }, secret);
      const foreign = new Operator().creds();
      await refused({ servers, credentials: foreign.path }, foreign.secret, /refuses the credentials/);
      await refused({ servers, credentials: `${credentials}.not` }, secret, /cannot be read: ENOENT/);
      await refused({ servers, credentials: operator.write('planted') }, 'planted', /is no creds file/);
    });
  });

  test('refuses to boot where JetStream is not enabled, and says how to enable it', async () => {
    const { url } = await server.start({ jetstream: false });
    await expect(application({ servers: url })).rejects.toThrow(/JetStream is not enabled.*-js/);
  });

  test('refuses to boot where the stream is another one: wanted, found, remedy', async () => {
    const { url } = await server.start();
    await (await managerOf(url)).streams.add({ name: 'events', subjects: ['events.>'] });
    await expect(application({ servers: url })).rejects.toThrow(
      /«events» exists with another «retention»: wanted «interest», found «limits»\. Choose another/,
    );
  });

  test('refuses to boot where another stream has its subjects', async () => {
    const { url } = await server.start();
    await (await managerOf(url)).streams.add({ name: 'other', subjects: ['events.created'] });
    await expect(application({ servers: url })).rejects.toThrow(/another stream has its subjects/);
  });

  test('says once that an acknowledgement is not on disk, unless it is told that it is', async () => {
    const { url } = await server.start();
    const warned = ({ log }: Application): number => log.lines.filter((line) => line.includes('sync_interval')).length;
    expect(warned(await application({ servers: url }))).toBe(1);
    expect(warned(await application({ servers: url, syncAlways: true }))).toBe(0);
  });

  test('says that a stream in memory does not survive the server', async () => {
    const { url } = await server.start();
    const { log } = await application({ servers: url, storage: 'memory' });
    expect(log.lines.join('\n')).toMatch(/kept in memory/);
  });

  test('boots without a server, and connects when there is one', async () => {
    const [port] = await freePorts(1);
    const { messaging, get } = await application({ servers: `nats://127.0.0.1:${port}` });
    const seen = new Seen<unknown>();
    await messaging.subscribe({ route: 'a' }, (body) => seen.add(body));
    expect(messaging.health()).toMatchObject({ status: 'down', connection: { state: 'connecting' } });
    const { outcome, settled } = await get(Publisher).publish('a', 'early');
    expect(outcome).toBe('queued');
    const connected = event(messaging, 'connected');
    await server.start({ port });
    await connected;
    await settled;
    expect(await seen.until(1)).toEqual(['early']);
    await waitFor(() => messaging.health().status === 'up');
  });

  test('lives on a connection of the application’s own, and leaves it open', async () => {
    const { url } = await server.start();
    const client = await connectPlain(url, { reconnectTimeWait: 20, reconnectJitter: 0 });
    const { messaging, get, close } = await application({ client });
    const seen = new Seen<unknown>();
    await messaging.subscribe({ route: 'a' }, (body) => seen.add(body));
    const back = event(messaging, 'connected');
    await client.reconnect();
    await back;
    await get(Publisher).publish('a', 1);
    expect(await seen.until(1)).toEqual([1]);
    await close();
    expect(client.isClosed()).toBe(false);
  });
});
