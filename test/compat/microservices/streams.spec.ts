import { afterEach, describe, expect, test } from '@jest/globals';
import { connect } from 'amqplib';
import { Controller, type INestApplication } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { memory, MemoryBroker, Messaging, MessagingModule, type TransportFactory } from 'nestjs-messaging';
import { MessagingClient, MessagingStrategy } from 'nestjs-messaging/compat/microservices';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { firstValueFrom, Observable, Subject, take, toArray } from 'rxjs';
import { describeRabbit } from '../../brokers/rabbitmq.js';
import { CapturedLog, event, Seen } from '../../e2e/support/application.js';

/** A stream that never ends by itself, and what became of it. */
const ended = new Seen<string>();
let values: Subject<number>;

@Controller()
class Endless {
  @MessagePattern('endless')
  numbers(): Observable<number> {
    return new Observable((subscriber) => {
      const inner = values.subscribe(subscriber);
      subscriber.next(0);
      return () => {
        inner.unsubscribe();
        ended.add('unsubscribed');
      };
    });
  }
}

const apps: INestApplication[] = [];

async function boot(transport: TransportFactory, serves: boolean): Promise<INestApplication> {
  const module = MessagingModule.forRoot({ service: 'shop', transport, shutdownTimeout: 200 });
  const controllers = serves ? [Endless] : [];
  const tested = Test.createTestingModule({ imports: [module], controllers }).setLogger(new CapturedLog());
  const app = (await tested.compile()).createNestApplication();
  apps.push(app);
  if (serves) {
    values = new Subject();
    app.connectMicroservice({ strategy: new MessagingStrategy(app.get(Messaging), { queue: 'endless' }) });
    await app.startAllMicroservices();
  }
  await app.init();
  return app;
}

async function close(app: INestApplication): Promise<void> {
  apps.splice(apps.indexOf(app), 1);
  await app.close();
}

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  ended.all.length = 0;
});

describe('a stream that does not end by itself is unsubscribed from', () => {
  test('when its next value finds nobody who waits, and its request is done', async () => {
    const broker = new MemoryBroker();
    const server = await boot(memory({ broker }), true);
    const asking = await boot(memory({ broker }), false);
    const client = new MessagingClient({ messaging: asking.get(Messaging) });
    const done = event(server.get(Messaging), 'settled');
    expect(await firstValueFrom(client.send('endless', {}).pipe(take(1), toArray()))).toEqual([0]);
    await close(asking);
    expect(ended.all).toEqual([]);
    values.next(1);
    await ended.until(1);
    expect(await done).toMatchObject({ outcome: 'ack' });
  });

  test('when its process ends', async () => {
    const broker = new MemoryBroker();
    const server = await boot(memory({ broker }), true);
    const asking = await boot(memory({ broker }), false);
    const client = new MessagingClient({ messaging: asking.get(Messaging) });
    expect(await firstValueFrom(client.send('endless', {}))).toBe(0);
    await close(server);
    expect(ended.all).toEqual(['unsubscribed']);
    // The request is not lost: another process would begin the stream again.
    expect(broker.queues().find(({ name }) => name === 'endless')).toMatchObject({ ready: 1 });
  });

  describeRabbit('on', (rabbit) => {
    test('when the client that waits on amq.rabbitmq.reply-to is gone, though nothing is emitted', async () => {
      const url = await rabbit.freshVhostUrl();
      const server = await boot(rabbitmq({ url }), true);
      const done = event(server.get(Messaging), 'settled');
      // As Nest's client asks.
      const client = await connect(url);
      const channel = await client.createChannel();
      const first = new Promise<string>((resolve) => {
        const direct = { noAck: true };
        void channel.consume('amq.rabbitmq.reply-to', (message) => resolve(String(message?.content)), direct);
      });
      const request = Buffer.from('{"pattern":"endless","data":{},"id":"1"}');
      channel.sendToQueue('endless', request, { replyTo: 'amq.rabbitmq.reply-to', correlationId: '1' });
      expect(JSON.parse(await first)).toEqual({ response: 0 });
      await client.close();
      await ended.until(1);
      expect(await done).toMatchObject({ outcome: 'ack' });
    }, 30_000);
  });
});
