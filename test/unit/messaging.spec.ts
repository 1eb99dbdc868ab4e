import { HealthIndicatorService } from '@nestjs/terminus';
import { describe, expect, test } from '@jest/globals';
import { MessagingHealthIndicator } from '../../lib/health/messaging-health.indicator.js';
import { MessagingLifecycle } from '../../lib/messaging.lifecycle.js';
import { Application, deferred, start } from './support/application.js';
import { FakeTransport, confirmed } from './support/fake-transport.js';

/** Of an application without `@Subscribe`. */
function lifecycleOf({ messaging }: Application): MessagingLifecycle {
  return new MessagingLifecycle(messaging, { declare: async () => {}, close: () => messaging.close() });
}

describe('health', () => {
  test('is down until there is a connection, says why, and carries no credentials', async () => {
    const app = new Application();
    expect(app.messaging.health()).toEqual({
      status: 'down',
      connection: {
        state: 'connecting',
        since: '2030-01-01T00:00:00.000Z',
        host: 'fake-host',
        blocked: false,
        reason: 'starting',
      },
      consumers: [],
      retryQueue: { store: 'memory', depth: 0, bytes: 0, oldestAgeMs: 0 },
      deadLetters: { publisher: 0, queues: [] },
    });
    await app.messaging.connect();
    await app.clock.advance(1_000);
    app.transport.connected();
    expect(app.messaging.health()).toMatchObject({
      status: 'up',
      connection: { state: 'connected', since: '2030-01-01T00:00:01.000Z' },
    });
    expect(app.messaging.health().connection).not.toHaveProperty('reason');
    app.transport.disconnected('ECONNRESET at amqp://user:secret@host/vhost');
    expect(JSON.stringify(app.messaging.health())).not.toContain('secret');
    expect(app.lines.join()).not.toContain('secret');
    expect(app.messaging.health()).toMatchObject({
      status: 'down',
      connection: { state: 'connecting', reason: 'ECONNRESET at amqp://***@host/vhost' },
    });
  });

  test('is degraded while something waits for attention', async () => {
    const app = await start();
    app.transport.undeliverableCount = 2;
    expect(app.messaging.health()).toMatchObject({ status: 'degraded', undeliverable: 2 });
    app.transport.undeliverableCount = 0;
    expect(app.messaging.health()).toMatchObject({ status: 'up' });
    expect(app.messaging.health()).not.toHaveProperty('undeliverable');
  });

  test('asks the broker nothing', async () => {
    const app = await start();
    await app.subscribe(() => undefined);
    app.transport.depth = () => {
      throw new Error('asked');
    };
    app.messaging.health();
  });

  test.each<[string, 'readiness' | 'liveness', string]>([
    ['down', 'readiness', 'down'],
    ['down', 'liveness', 'up'],
    ['up', 'readiness', 'up'],
    ['up', 'liveness', 'up'],
  ])('the indicator: %s is %s %s', async (state, probe, status) => {
    const app = await start();
    if (state === 'down') app.transport.disconnected();
    const indicator = new MessagingHealthIndicator(new HealthIndicatorService(), { get: () => app.messaging } as never);
    expect(indicator.isHealthy('broker', { for: probe })).toMatchObject({
      broker: { status, state, connection: { host: 'fake-host' } },
    });
  });

  test('the indicator names a connection that does not exist', () => {
    const moduleRef = {
      get: () => {
        throw new Error('unknown');
      },
    };
    const indicator = new MessagingHealthIndicator(new HealthIndicatorService(), moduleRef as never);
    expect(() => indicator.isHealthy('broker', { connection: 'other' })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option: 'connection' }),
    );
  });
});

describe('boot', () => {
  test('says once what memory holds and loses', async () => {
    const durable = await start();
    expect(durable.logged('log')[0]).toBe(
      'What the publisher retry queue holds is in memory and ends with this process',
    );
    const volatile = await start({}, new FakeTransport({ durable: false }));
    expect(volatile.logged('log')[0]).toBe(
      'What the embedded broker and the publisher retry queue hold is in memory and ends with this process',
    );
  });

  test('resolves while the broker is down; consumers are declared and wait', async () => {
    const app = new Application();
    await app.messaging.connect();
    const published = app.publish('r', 1, { id: 'early' });
    await app.turn();
    expect(published.state).toBe('queued');
    expect(app.messaging.health().status).toBe('down');
    app.transport.connected();
    expect(app.transport.publishedIds).toEqual(['early']);
  });

  test('sends nothing before what the application subscribes to is declared, and all of it then', async () => {
    const app = new Application();
    const declared = deferred();
    const lifecycle = new MessagingLifecycle(app.messaging, {
      declare: () => declared.promise,
      close: () => app.messaging.close(),
    });
    const started = lifecycle.onModuleInit();
    await app.turn();
    app.transport.connected();
    const [awaited, after] = [app.publish('r', 1, { id: 'one' }), app.publish('r', 2, { id: 'two' })];
    await app.turn();
    app.transport.blocked();
    app.transport.unblocked();
    await app.turn();
    expect([awaited.state, after.state, app.transport.publishedIds]).toEqual(['queued', 'queued', []]);
    declared.resolve();
    await started;
    expect(app.transport.publishedIds).toEqual(['one', 'two']);
  });

  test('without a connection waits for it after the declaring as well', async () => {
    const app = new Application();
    await lifecycleOf(app).onModuleInit();
    app.publish('r', 1, { id: 'one' });
    await app.turn();
    expect(app.transport.publishedIds).toEqual([]);
    app.transport.connected();
    expect(app.transport.publishedIds).toEqual(['one']);
  });

  test('that fails for good closes what it opened and rejects', async () => {
    const app = new Application();
    app.transport.connect = () => Promise.reject(new Error('ACCESS_REFUSED'));
    await expect(lifecycleOf(app).onModuleInit()).rejects.toThrow('ACCESS_REFUSED');
    expect(app.transport.closed).toBe(1);
    expect(app.clock.pending).toBe(0);
  });

  test('the transport gets the environment and is handed out', async () => {
    const app = await start({ confirmTimeout: 77, provision: false });
    expect(app.transport.environment).toMatchObject({
      clock: app.clock,
      service: 'orders',
      confirmTimeout: 77,
      provision: false,
      reconnect: { initial: 200 },
    });
    expect(app.messaging.native()).toBe(app.transport);
    await app.messaging.probe();
  });
});

describe('shutdown', () => {
  test('has two phases: intake first, then publisher and connection, one deadline over both', async () => {
    const app = await start({ shutdownTimeout: 3_000 });
    const lifecycle = lifecycleOf(app);
    const handling = deferred();
    const subscription = await app.subscribe(() => handling.promise);
    subscription.deliver();
    const destroyed = lifecycle.onModuleDestroy();
    await app.clock.advance(2_000);
    handling.resolve();
    await destroyed;
    expect(app.transport.closed).toBe(0);
    const late = app.publish('r', 1);
    let closed = false;
    void lifecycle.onApplicationShutdown().then(() => (closed = true));
    await app.clock.advance(999);
    expect(closed).toBe(false);
    await app.clock.advance(1);
    expect(closed).toBe(true);
    expect(late.error).toMatchObject({ code: 'PUBLISHER_CLOSED' });
    expect(app.messaging.health().connection.state).toBe('closed');
    expect(app.clock.pending).toBe(0);
  });

  test('leaves the second phase a moment when the first has used up the time', async () => {
    const app = await start({ shutdownTimeout: 3_000 });
    const subscription = await app.subscribe(() => new Promise(() => {}));
    subscription.deliver({ deliveryCount: 0 });
    const stopped = app.messaging.stopIntake();
    await app.clock.advance(3_000);
    await stopped;
    const late = app.publish('r', 1);
    const closing = app.messaging.close();
    await app.clock.advance(400);
    app.transport.settle(confirmed);
    await closing;
    expect(late.state).toBe('confirmed');
  });

  test('what is not sent at the deadline is named, every id, in few lines', async () => {
    const app = await start({ shutdownTimeout: 1_000 });
    app.transport.disconnected();
    for (let n = 0; n < 250; n++) app.publish('order.created', n, { id: `m${n}` });
    const closing = app.messaging.close();
    await app.clock.advance(1_000);
    await closing;
    const lines = app.logged('error');
    expect(lines).toHaveLength(3);
    expect(lines[2]).toMatch(/lost with this process \(201 to 250 of 250\): m200 \(order\.created\), /);
    const named = lines.flatMap((line) => [...line.matchAll(/(m\d+) \(order\.created\)/g)].map(([, id]) => id));
    expect(named).toEqual(Array.from({ length: 250 }, (_, n) => `m${n}`));
  });

  test('a connection that ends on purpose is no warning', async () => {
    const app = await start();
    app.transport.close = async () => app.transport.disconnected('closed');
    await app.messaging.close();
    expect(app.logged('warn')).toEqual([]);
  });

  test('a transport that cannot be closed is an error line and nothing worse', async () => {
    const app = await start();
    app.transport.close = () => Promise.reject(new Error('socket of amqp://u:secret@h'));
    await app.messaging.close();
    expect(app.logged('error')).toEqual([expect.stringContaining('amqp://***@h')]);
    expect(app.messaging.health().connection.state).toBe('closed');
  });
});

test('the connection’s events are told, with reasons and without credentials', async () => {
  const app = new Application();
  const seen: unknown[] = [];
  for (const name of ['connected', 'disconnected', 'blocked', 'unblocked'] as const)
    app.messaging.events.on(name, (payload) => seen.push([name, payload]));
  await app.messaging.connect();
  app.transport.connected();
  app.transport.blocked('low on memory');
  app.transport.unblocked();
  app.transport.disconnected('amqp://u:p@h closed');
  app.transport.emit({ type: 'warning', message: 'queue of amqp://u:p@h is slow' });
  expect(seen).toEqual([
    ['connected', { host: 'fake-host' }],
    ['blocked', { reason: 'low on memory' }],
    ['unblocked', {}],
    ['disconnected', { host: 'fake-host', reason: 'amqp://***@h closed' }],
  ]);
  expect(app.logged('warn').at(-1)).toBe('queue of amqp://***@h is slow');
});
