import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { headers } from '@nats-io/transport-node';
import { RequeueHealthIndicator } from 'nestjs-messaging/health';
import { openTelemetry } from 'nestjs-messaging/opentelemetry';
import { RequeueModule, RequeueService } from 'nestjs-messaging/requeue';
import { requeueMetric } from '../../lib/opentelemetry/conventions.js';
import { describeNats } from '../brokers/nats.js';
import { waitFor } from '../brokers/wait-for.js';
import { CapturedLog } from '../e2e/support/application.js';
import { dataDirectory, TestClient } from '../requeue/support/service.js';
import { Collected } from './support/collected.js';

describeNats('the requeue service in an application', (nats) => {
  let collected: Collected;
  beforeEach(() => {
    collected = new Collected();
  });
  let close: (() => Promise<void>) | undefined;
  afterEach(() => close?.());

  test('tells its statistics as metrics and its health to Terminus; a trace goes through it', async () => {
    const url = await nats.url();
    @Module({
      imports: [
        RequeueModule.forRoot({
          servers: url,
          dataDir: dataDirectory(),
          telemetry: openTelemetry({ meter: collected.meter, tracer: collected.tracer }),
        }),
        TerminusModule,
      ],
      providers: [RequeueHealthIndicator],
    })
    class AppModule {}
    const module = await Test.createTestingModule({ imports: [AppModule] })
      .setLogger(new CapturedLog())
      .compile();
    const app = module.createNestApplication();
    await app.init();
    close = () => app.close();
    const requeue = app.get(RequeueService);
    const indicator = app.get(RequeueHealthIndicator);
    expect(indicator.isHealthy('requeue')).toMatchObject({ requeue: { status: 'up', state: 'up', inFlight: 0 } });

    const client = await TestClient.connect(url);
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const seen = new Promise<string>((resolve) => {
      client.connection.subscribe('orders', {
        callback: (_, message) => {
          resolve(message.headers?.get('traceparent') ?? '');
          message.respond('ok');
        },
      });
    });
    await client.connection.flush();
    const carried = headers();
    carried.set('traceparent', traceparent);
    await client.connection.request('requeue.orders', 'x', { headers: carried, timeout: 5_000 });
    expect(await seen).toBe(traceparent);
    await waitFor(() => requeue.stats().queues[0]?.delivered === 1);

    const labels = { 'messaging.system': 'nats', 'messaging.destination.name': 'default' };
    const counted = Object.fromEntries(
      await Promise.all(
        Object.values(requeueMetric).map(async ({ name }) => {
          const [{ attributes, value }] = await collected.points(name);
          expect(attributes).toEqual(labels);
          return [name.replace('nestjs_messaging.requeue.', ''), value] as const;
        }),
      ),
    );
    expect(counted).toMatchObject({
      'accepted.messages': 1,
      'sent.messages': 1,
      'delivered.messages': 1,
      'failed.messages': 0,
      depth: 0,
      dead_letters: 0,
      oldest_age: 0,
    });
    await app.close();
    expect(indicator.isHealthy('requeue')).toMatchObject({ requeue: { status: 'down' } });
    expect(indicator.isHealthy('requeue', { for: 'liveness' })).toMatchObject({
      requeue: { status: 'up', state: 'down' },
    });
  });
});

test('the indicator of the requeue service says where there is none', async () => {
  const module = await Test.createTestingModule({ imports: [TerminusModule], providers: [RequeueHealthIndicator] })
    .setLogger(new CapturedLog())
    .compile();
  expect(() => module.get(RequeueHealthIndicator).isHealthy('requeue')).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('RequeueModule') }),
  );
});
