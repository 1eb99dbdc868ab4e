import { inspect } from 'node:util';
import { describe, expect, jest, test } from '@jest/globals';
import { headers } from '@nats-io/transport-node';
import { ManualClock } from 'nestjs-messaging/testing';
import { fixed, InvalidOptionError } from 'nestjs-messaging';
import {
  requestWithRetry,
  RequeueModule,
  type RequeueOptions,
  RequeueRefusedError,
  requeueHeaders,
  RequeueService,
} from 'nestjs-messaging/requeue';
import { Test } from '@nestjs/testing';
import type { DynamicModule } from '@nestjs/common';
import { describeNats, describeNatsNode } from '../brokers/nats.js';
import { waitFor } from '../brokers/wait-for.js';
import { CapturedLog } from '../e2e/support/application.js';
import { resolveRequeueOptions } from '../../lib/requeue/requeue-options.js';
import { dataDirectory, TestClient, TestService } from './support/service.js';

async function application(module: DynamicModule) {
  const log = new CapturedLog();
  const app = (
    await Test.createTestingModule({ imports: [module] })
      .setLogger(log)
      .compile()
  ).createNestApplication();
  await app.init();
  return { app, log, requeue: app.get(RequeueService) };
}

describeNats('RequeueModule', (nats) => {
  test('runs the service with the application, and says when it has ended', async () => {
    const url = await nats.url();
    const onClosed = jest.fn();
    const { app, requeue } = await application(
      RequeueModule.forRoot({ servers: url, dataDir: dataDirectory(), onClosed }),
    );
    const client = await TestClient.connect(url);
    const seen = await client.subscribe('orders');
    await client.send('requeue.orders', 'x');
    await seen.until(1);
    await waitFor(() => requeue.stats().depth === 0);
    expect(requeue.health()).toMatchObject({ status: 'up', inFlight: 0, store: { healthy: true } });
    expect(requeue.statsSubject).toBe('requeue.stats');
    await app.close();
    await requeue.closed;
    expect(onClosed).toHaveBeenCalledTimes(1);
    expect(requeue.health()).toMatchObject({ status: 'down', connection: { state: 'closed' } });
  });

  test('takes its options from a factory, and says what went wrong', async () => {
    const onConnectionError = jest.fn<(error: Error) => void>();
    const options: RequeueOptions = {
      servers: 'nats://someone:hush-hush@127.0.0.1:1',
      dataDir: dataDirectory(),
      onConnectionError,
    };
    const { app, requeue, log } = await application(
      RequeueModule.forRootAsync({ inject: [], useFactory: async () => options }),
    );
    expect(onConnectionError).toHaveBeenCalled();
    const { connection, status } = requeue.health();
    expect({ status, ...connection }).toMatchObject({
      status: 'down',
      state: 'connecting',
      server: '127.0.0.1:1',
    });
    expect(connection.reason).toContain('cannot be reached');
    await app.close();
    expect(JSON.stringify([connection, log.lines, String(onConnectionError.mock.calls[0][0])])).not.toContain(
      'hush-hush',
    );
  });
});

describeNatsNode('RequeueModule', (nats) => {
  test('tells the application what it took over from a service that died', async () => {
    const server = await nats.start({ jetstream: false });
    const dataDir = dataDirectory();
    const first = await TestService.start({ servers: server.url, dataDir });
    const client = await TestClient.connect(server.url);
    await client.send('requeue.later', 'x', { delay: 60_000 });
    await first.server.stop();
    const second = await TestService.start({ servers: server.url, dataDir });
    expect(second.adopted).toEqual([1]);
    expect(second.server.health().store).toMatchObject({ depth: 1, adopted: 1 });
  });

  test('says what the server forbids', async () => {
    const users = 'authorization: { users: [{ user: a, password: b, permissions: { subscribe: ["_INBOX.>"] } }] }';
    const server = await nats.start({ jetstream: false, conf: [users] });
    const service = new TestService({ servers: `nats://a:b@127.0.0.1:${server.port}` });
    await service.server.start();
    await waitFor(() => service.server.health().status === 'degraded');
    expect(service.server.health().connection.reason).toMatch(/nothing is received: .*permissions violation/i);
    expect(service.connectionErrors.length).toBeGreaterThan(0);
  });

  test('requestWithRetry asks so many times, and no more often than it makes sense', async () => {
    const server = await nats.start({ jetstream: false });
    const client = await TestClient.connect(server.url);
    const request = jest.spyOn(client.connection, 'request');
    const options = { times: 4, backoff: fixed(1), timeout: 200 };
    await expect(requestWithRetry(client.connection, 'requeue.a', 'x', options)).rejects.toThrow(/no responders/i);
    expect(request).toHaveBeenCalledTimes(4);

    await TestService.start({ servers: server.url, maxMessages: 1 });
    const id = headers();
    id.set('Requeue-Ttl', 'x');
    request.mockClear();
    const refused = requestWithRetry(client.connection, 'requeue.a', 'x', { ...options, headers: id });
    await expect(refused).rejects.toMatchObject({
      code: 'REQUEUE_REFUSED',
      refusal: 'invalid-header',
      retryable: false,
    });
    expect(request).toHaveBeenCalledTimes(1);

    const later = requeueHeaders({ delay: 60_000 }, headers());
    await requestWithRetry(client.connection, 'requeue.a', 'x', { ...options, headers: later });
    request.mockClear();
    const full = requestWithRetry(client.connection, 'requeue.a', 'x', { ...options, headers: later });
    await expect(full).rejects.toThrow(RequeueRefusedError);
    expect(request).toHaveBeenCalledTimes(4);
  });
});

describe('the options of the requeue service', () => {
  const dataDir = 'x';
  test.each<[string, object]>([
    ['dataDir', { dataDir: '' }],
    ['servers', { dataDir, servers: [] }],
    ['servers', { dataDir, servers: ['nats://a:1@h', 'nats://b:1@h'] }],
    ['subject', { dataDir, subject: 'a b' }],
    ['group', { dataDir, group: 'a b' }],
    ['ackTimeout', { dataDir, ackTimeout: 0 }],
    ['onClosed', { dataDir, onClosed: 1 }],
    ['requeue.typo', { dataDir, typo: 1 }],
    ['nats', { dataDir, nats: { servers: 'x' } }],
  ])('%s is checked', (option, options) => {
    expect(() => resolveRequeueOptions(options as RequeueOptions)).toThrow(InvalidOptionError);
    expect(() => resolveRequeueOptions(options as RequeueOptions)).toThrow(`«${option}»`);
  });

  test('a user and password in addresses are taken out of them', () => {
    const settings = resolveRequeueOptions({ dataDir, servers: ['nats://me:p%40ss@a:1', 'tls://me:p%40ss@b'] });
    expect(settings).toMatchObject({ hosts: ['a:1', 'b'], address: { host: 'a:1, b:4222' } });
    expect(inspect(settings, { depth: null })).not.toMatch(/'me'|p@ss|p%40ss/);
  });

  test('requeueHeaders writes what the service reads, and refuses what does not exist', () => {
    expect(requeueHeaders({ delay: 5, backoff: { type: 'fixed', initial: 10 }, subject: 'a.b' })).toEqual({
      'Requeue-Delay': '5',
      'Requeue-Backoff': 'fixed',
      'Requeue-Backoff-Initial': '10',
      'Requeue-Subject': 'a.b',
    });
    expect(() => requeueHeaders({ dealy: 5 } as object)).toThrow(InvalidOptionError);
  });

  test('a request waits as long as the backoff says', async () => {
    const clock = new ManualClock();
    const request = jest.fn<() => Promise<any>>().mockRejectedValueOnce(new Error('timeout')).mockResolvedValue({});
    const reply = requestWithRetry({ request }, 'a', 'x', { clock, backoff: fixed(1_000) });
    await clock.advance(999);
    expect(request).toHaveBeenCalledTimes(1);
    await clock.advance(1);
    await reply;
    expect(request).toHaveBeenCalledTimes(2);
  });
});
