import { afterEach, expect, test } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { MessagingModule, Publisher } from 'nestjs-messaging';
import { nats, type NatsOptions } from 'nestjs-messaging/nats';
import { describeNatsNode } from '../brokers/nats.js';
import { freePorts } from '../brokers/free-ports.js';
import { type Application, boot, closeApplications, event, Seen } from '../e2e/support/application.js';

function application(options: NatsOptions): Promise<Application> {
  const reconnect = { initial: 20, max: 100, jitter: 0 };
  return boot({ imports: [MessagingModule.forRoot({ service: 'shop', transport: nats(options), reconnect })] });
}

afterEach(closeApplications);

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

  test('refuses to boot with credentials that the server refuses, and does not show them', async () => {
    const { port } = await server.start({ user: { name: 'one', password: 'right' } });
    const failure = application({ servers: `nats://one:very-secret@127.0.0.1:${port}` });
    await expect(failure).rejects.toMatchObject({ code: 'BROKER_CONFIGURATION' });
    await failure.catch((error: Error) =>
      expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('very-secret'),
    );
  });

  test('takes user and password from the options of the client as well', async () => {
    const { port } = await server.start({ user: { name: 'one', password: 'right' } });
    const { messaging } = await application({
      servers: `nats://127.0.0.1:${port}`,
      options: { user: 'one', pass: 'right' },
    });
    expect(messaging.health().connection.state).toBe('connected');
  });

  test('refuses to boot where JetStream is not enabled, and says how to enable it', async () => {
    const { url } = await server.start({ jetstream: false });
    await expect(application({ servers: url })).rejects.toThrow(/JetStream is not enabled.*-js/);
  });

  test('refuses to boot where the stream is another one: wanted, found, remedy', async () => {
    const { url } = await server.start();
    const connection = await connect({ servers: url });
    await (await jetstreamManager(connection)).streams.add({ name: 'events', subjects: ['events.>'] });
    await expect(application({ servers: url })).rejects.toThrow(
      /«events» exists with another «retention»: wanted «interest», found «limits»\. Choose another/,
    );
    await connection.close();
  });

  test('refuses to boot where another stream has its subjects', async () => {
    const { url } = await server.start();
    const connection = await connect({ servers: url });
    await (await jetstreamManager(connection)).streams.add({ name: 'other', subjects: ['events.created'] });
    await expect(application({ servers: url })).rejects.toThrow(/another stream has its subjects/);
    await connection.close();
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
    const { messaging } = await application({ servers: `nats://127.0.0.1:${port}` });
    expect(messaging.health().status).toBe('down');
  });

  test('lives on a connection of the application’s own, and leaves it open', async () => {
    const { url } = await server.start();
    const client = await connect({ servers: url });
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
    await client.close();
  });
});
