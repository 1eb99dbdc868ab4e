import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import amqp from 'amqplib';
import {
  DeadLetters,
  type MessageContext,
  MessagingModule,
  type MessagingModuleOptions,
  Publisher,
  Subscribe,
} from 'nestjs-messaging';
import { rabbitmq, type RabbitmqOptions } from 'nestjs-messaging/rabbitmq';
import { Proxy } from '../brokers/proxy.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications, event, Seen } from './support/application.js';

afterEach(closeApplications);

const PASSWORD = 'pl4nted-s3cret';

describeRabbit('An application on RabbitMQ', (rabbit) => {
  const app = (options: RabbitmqOptions, more: MessagingModuleOptions = {}, providers: never[] = []) =>
    boot({
      imports: [
        MessagingModule.forRoot({
          service: 'orders',
          transport: rabbitmq({ exchange: 'events', ...options }),
          ...more,
        }),
      ],
      providers,
    });

  test('boots while the broker is down, queues what is published, and comes up with its consumers', async () => {
    const seen = new Seen<number>();
    @Injectable()
    class Handler {
      @Subscribe('order.created')
      handle({ id }: { id: number }): void {
        seen.add(id);
      }
    }
    const url = await rabbit.freshVhostUrl();
    const proxy = await Proxy.start(url);
    await proxy.refuse(true);
    const {
      app: nest,
      messaging,
      get,
    } = await app({ url: proxy.url(url) }, { reconnect: { initial: 20, max: 50 } }, [Handler as never]);
    await nest.listen(0, '127.0.0.1');
    expect(messaging.health()).toMatchObject({
      status: 'down',
      connection: { state: 'connecting', reason: expect.stringContaining('ECONNREFUSED') },
      consumers: [{ queue: 'orders:order.created:queue', state: 'waiting' }],
    });
    const receipts = await Promise.all(
      [1, 2, 3].map((id) => get(Publisher).publish('order.created', { id }, { key: 'k' })),
    );
    expect(receipts.map(({ outcome, stored }) => [outcome, stored])).toEqual(Array(3).fill(['queued', 'memory']));
    expect(messaging.health().retryQueue).toMatchObject({ depth: 3, store: 'memory' });
    await proxy.refuse(false);
    const results = await Promise.all(receipts.map(({ settled }) => settled));
    expect(results.map(({ outcome }) => outcome)).toEqual(Array(3).fill('confirmed'));
    await waitFor(() => messaging.health().status !== 'down', 'the connection');
    await waitFor(() => messaging.health().consumers[0]?.state === 'consuming', 'the consumer');
    await get(Publisher).publish('order.created', { id: 4 });
    await waitFor(() => seen.all.includes(4), 'the message');
    expect(seen.all).toEqual([1, 2, 3, 4]);
    await nest.close();
    await proxy.close();
  });

  test('comes back after every loss of its connections, and loses nothing that was confirmed or queued', async () => {
    const seen = new Seen<number>();
    @Injectable()
    class Handler {
      @Subscribe('order.created', { prefetch: 7 })
      async handle({ id }: { id: number }): Promise<void> {
        await new Promise((resolve) => setImmediate(resolve));
        seen.add(id);
      }
    }
    const url = await rabbit.freshVhostUrl();
    const proxy = await Proxy.start(url);
    const { messaging, get } = await app(
      { url: proxy.url(url) },
      { reconnect: { initial: 20, max: 50 }, retryQueue: { interval: 50 } },
      [Handler as never],
    );
    let next = 0;
    for (let fall = 0; fall < 4; fall++) {
      const down = event(messaging, 'disconnected');
      const pending = Array.from({ length: 200 }, () => get(Publisher).publish('order.created', { id: next++ }));
      setImmediate(() => proxy.reset());
      const receipts = await Promise.all(pending);
      await down;
      const results = await Promise.all(receipts.map(({ settled }) => settled));
      expect(results.every(({ outcome }) => outcome === 'confirmed')).toBe(true);
    }
    await waitFor(() => new Set(seen.all).size === next, 'every message');
    expect(messaging.health().consumers).toMatchObject([{ state: 'consuming' }]);
    await proxy.close();
  });

  test.each([
    [
      'wrong credentials',
      (url: URL) => Object.assign(url, { password: 'wrong' }),
      /guest|credentials|ACCESS_REFUSED|refused/i,
    ],
    ['an unknown virtual host', (url: URL) => Object.assign(url, { pathname: '/nowhere' }), /nowhere/],
  ])('%s fail the boot with a clear error', async (_, change, message) => {
    const url = change(new URL(await rabbit.freshVhostUrl())).href;
    await expect(app({ url })).rejects.toMatchObject({
      code: 'BROKER_CONFIGURATION',
      message: expect.stringMatching(message),
    });
  });

  test('a queue that exists with other arguments fails the boot, naming queue, argument, wanted, found and the remedy', async () => {
    @Injectable()
    class Handler {
      @Subscribe('order.created')
      handle(): void {}
    }
    const url = await rabbit.freshVhostUrl();
    const connection = await amqp.connect(url);
    const channel = await connection.createChannel();
    await channel.assertQueue('orders:order.created:queue', { durable: true });
    await connection.close();
    const failure = await app({ url }, {}, [Handler as never]).then(
      () => undefined,
      (error: Error) => error,
    );
    expect(failure).toMatchObject({ code: 'TOPOLOGY_MISMATCH' });
    for (const part of [
      'orders:order.created:queue',
      'x-dead-letter-exchange',
      'wanted «events.dlx»',
      'found none',
      'delete the queue',
    ])
      expect(failure!.message).toContain(part);
  });

  test('with provision: false what is missing fails the boot, of all subscriptions in one error, and nothing is created', async () => {
    @Injectable()
    class Handler {
      @Subscribe('order.created', { retry: { attempts: 3, backoff: 60 } })
      @Subscribe('order.paid', { dlq: false })
      handle(): void {}
    }
    const url = await rabbit.freshVhostUrl();
    const failure = await app({ url }, { provision: false }, [Handler as never]).catch((error: Error) => error);
    expect(failure).toMatchObject({ code: 'TOPOLOGY_MISMATCH' });
    for (const missing of [
      'the exchange «events» does not exist',
      'the queue «orders:order.created:queue» does not exist',
      'the queue «orders:order.created:dlq» does not exist',
      'delayed messages of «orders:order.created:queue» have nowhere to wait',
      'the queue «orders:order.paid:queue» does not exist',
    ])
      expect((failure as Error).message).toContain(missing);
    const connection = await amqp.connect(url);
    connection.on('error', () => undefined);
    const channel = await connection.createChannel();
    channel.on('error', () => undefined);
    await expect(channel.checkQueue('orders:order.created:queue')).rejects.toThrow(/404/);
    await connection.close();
  });

  test('with provision: false the levels that retries wait in are looked for at boot; a start that may make them leaves them there', async () => {
    const node = rabbit.node;
    if (!node) return;
    const attempts = new Set<number>();
    @Injectable()
    class Handler {
      @Subscribe('order.created', { retry: { attempts: 3, backoff: 60 } })
      handle(_: unknown, { attempt }: MessageContext): void {
        attempts.add(attempt);
        throw new Error('no');
      }
    }
    const url = new URL(await rabbit.freshVhostUrl());
    const operator = await app({ url: url.href }, {}, [Handler as never]);
    await operator.close();
    const user = `user-${Date.now()}`;
    await node.eval(
      `rabbit_auth_backend_internal:add_user(<<"${user}">>, <<"${PASSWORD}">>, <<"test">>), rabbit_auth_backend_internal:set_permissions(<<"${user}">>, <<"${decodeURIComponent(url.pathname.slice(1))}">>, <<"^$">>, <<".*">>, <<".*">>, <<"test">>).`,
    );
    const restricted = new URL(url);
    Object.assign(restricted, { username: user, password: PASSWORD });
    const connection = await amqp.connect(url.href);
    connection.on('error', () => undefined);
    const channel = await connection.createChannel();
    const careful = await app({ url: restricted.href }, { provision: false }, [Handler as never]);
    const headers = { 'content-type': 'application/json' };
    channel.publish('events', 'order.created', Buffer.from('{}'), { headers, contentType: 'application/json' });
    await waitFor(async () => (await channel.checkQueue('orders:order.created:dlq')).messageCount === 1);
    expect([...attempts]).toEqual([1, 2, 3]);
    await careful.close();
    await channel.deleteQueue('events.delay.4');
    await connection.close();
    await expect(app({ url: restricted.href }, { provision: false }, [Handler as never])).rejects.toMatchObject({
      code: 'TOPOLOGY_MISMATCH',
      message: expect.stringMatching(
        /«orders:order.created:queue» have nowhere to wait.*«events\.delay\.4» does not exist/,
      ),
    });
    await expect(app({ url: restricted.href }, {}, [Handler as never])).rejects.toMatchObject({
      code: 'BROKER_CONFIGURATION',
    });
  });

  test('a password in the URL is in no log line, error, event, health answer and dead letter', async () => {
    const node = rabbit.node;
    if (!node) return;
    const url = new URL(await rabbit.freshVhostUrl());
    const user = `user-${Date.now()}`;
    await node.eval(
      `rabbit_auth_backend_internal:add_user(<<"${user}">>, <<"${PASSWORD}">>, <<"test">>), rabbit_auth_backend_internal:set_permissions(<<"${user}">>, <<"${decodeURIComponent(url.pathname.slice(1))}">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>).`,
    );
    Object.assign(url, { username: user, password: PASSWORD });
    const proxy = await Proxy.start(url.href);
    const secretUrl = proxy.url(url.href);
    const heard: unknown[] = [];
    @Injectable()
    class Handler {
      @Subscribe('order.created', { retry: false })
      handle(): void {
        throw new Error(`cannot reach ${secretUrl}`);
      }
    }
    const { messaging, get, log, close } = await app(
      { url: secretUrl },
      { reconnect: { initial: 20, max: 50 }, shutdownTimeout: 200 },
      [Handler as never],
    );
    for (const name of [
      'connected',
      'disconnected',
      'queued',
      'publish-failed',
      'consumer-stopped',
      'store-error',
      'dead-lettered',
    ] as const) {
      messaging.events.on(name, (payload) => heard.push(payload));
    }
    const dead = event(messaging, 'dead-lettered');
    await get(Publisher).publish('order.created', {}, { id: 'secret' });
    await dead;
    await waitFor(async () => (await get(DeadLetters).show('secret')) !== undefined, 'the dead letter');
    const letter = await get(DeadLetters).show('secret');
    const refused = await get(Publisher)
      .publish('nobody.listens', {})
      .catch((error: Error) => error);
    const down = event(messaging, 'disconnected');
    await proxy.refuse(true);
    proxy.reset();
    await down;
    await get(Publisher).publish('order.created', {});
    const health = messaging.health();
    await close();
    await proxy.close();
    const failures = await Promise.all(
      [
        `amqp://${user}:${PASSWORD}@127.0.0.1:${new URL(url).port}/nowhere`,
        `amqp://nobody:${PASSWORD}@127.0.0.1:${new URL(url).port}/`,
      ].map((bad) => app({ url: bad }).catch((error: unknown) => error)),
    );
    const errors = [refused, ...failures].map((error) => errorParts(error));
    const everything = {
      log: log.lines,
      letter: { ...letter, body: undefined },
      health,
      errors,
      events: heard.map(describeEvent),
    };
    expect(everything.errors.length).toBe(3);
    expect(everything.events.length).toBeGreaterThan(3);
    expect(JSON.stringify(everything)).toContain('cannot reach amqp://***@127.0.0.1');
    expect(JSON.stringify(everything)).not.toContain(PASSWORD);
  });
});

/** Everything an error says, its causes included. */
function errorParts(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  return { ...error, message: error.message, stack: error.stack, cause: errorParts(error.cause) };
}

/** What an event says, apart from what the handler itself threw. */
function describeEvent(payload: unknown): unknown {
  const { delivery, error, ...rest } = payload as { delivery?: { queue: string }; error?: { code?: string } };
  return { ...rest, queue: delivery?.queue, error: error?.code === undefined ? undefined : errorParts(error) };
}
