import { afterEach, expect, test } from '@jest/globals';
import amqp, { type Channel, type ChannelModel, type GetMessage } from 'amqplib';
import { DeadLetters, type MessageContext, MessagingModule, Publisher, fixed } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications, event, Seen } from './support/application.js';

const connections: ChannelModel[] = [];

afterEach(async () => {
  await closeApplications();
  await Promise.all(connections.splice(0).map((connection) => connection.close()));
});

async function plainClient(url: string): Promise<Channel> {
  const connection = await amqp.connect(url);
  connections.push(connection);
  return connection.createChannel();
}

async function next(channel: Channel, queue: string): Promise<GetMessage> {
  let found: GetMessage | false = false;
  await waitFor(async () => (found = await channel.get(queue, { noAck: true })), `a message in ${queue}`);
  return found as unknown as GetMessage;
}

describeRabbit('A plain AMQP client', (rabbit) => {
  const start = async (url: string) => {
    const transport = rabbitmq({ url, exchange: 'events' });
    return boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport, retry: { attempts: 2, backoff: fixed(20) } })],
    });
  };

  test('reads what we publish byte for byte, with standard properties and no envelope', async () => {
    const url = await rabbit.freshVhostUrl();
    const client = await plainClient(url);
    await client.assertExchange('events', 'topic', { durable: true });
    await client.assertQueue('plain', { durable: true });
    await client.bindQueue('plain', 'events', 'order.*');
    const { get } = await start(url);
    const before = Date.now();
    await get(Publisher).publish(
      'order.created',
      { id: 1, name: 'Äpfel' },
      { id: 'the-id', key: 'customer-7', correlationId: 'corr', headers: { tenant: 'x', count: 3, on: true } },
    );
    const json = await next(client, 'plain');
    expect(json.content.toString('utf8')).toBe('{"id":1,"name":"Äpfel"}');
    expect(json.fields).toMatchObject({ exchange: 'events', routingKey: 'order.created', redelivered: false });
    expect(json.properties).toMatchObject({
      messageId: 'the-id',
      type: 'order.created',
      contentType: 'application/json',
      deliveryMode: 2,
      correlationId: 'corr',
      headers: { tenant: 'x', count: 3, on: true, 'messaging-key': 'customer-7', 'messaging-version': 1 },
    });
    expect(json.properties.headers!['messaging-time']).toBeGreaterThanOrEqual(before);
    const bytes = Buffer.from([0, 255, 1, 254]);
    await get(Publisher).publish('order.created', bytes);
    const raw = await next(client, 'plain');
    expect(raw.content.equals(bytes)).toBe(true);
    expect(raw.properties.contentType).toBe('application/octet-stream');
  });

  test('publishes without any header of ours, and is handled', async () => {
    const url = await rabbit.freshVhostUrl();
    const { messaging } = await start(url);
    const seen = new Seen<unknown>();
    await messaging.subscribe(
      { route: 'order.created' },
      (body, { id, route, attempt, headers, time, key }: MessageContext) =>
        seen.add({ body, id, route, attempt, headers, time, key }),
    );
    const client = await plainClient(url);
    client.publish('events', 'order.created', Buffer.from('{"plain":true}'));
    expect(await seen.until(1)).toEqual([
      {
        body: { plain: true },
        id: '',
        route: 'order.created',
        attempt: 1,
        headers: {},
        time: undefined,
        key: undefined,
      },
    ]);
  });

  test('cannot make a message look tried: private headers count only on the queue of the group', async () => {
    const url = await rabbit.freshVhostUrl();
    const { messaging } = await start(url);
    const seen = new Seen<number>();
    await messaging.subscribe({ route: 'order.created' }, (_, { attempt }) => seen.add(attempt));
    const client = await plainClient(url);
    for (const attempt of [7, -1, 'many', 1e12]) {
      client.publish('events', 'order.created', Buffer.from('{}'), { headers: { 'messaging-attempt': attempt } });
    }
    for (const attempt of [-1, 'many', 1e12]) {
      client.sendToQueue('orders:order.created:queue', Buffer.from('{}'), {
        headers: { 'messaging-attempt': attempt },
      });
    }
    expect(await seen.until(7)).toEqual([1, 1, 1, 1, 1, 1, 1]);
  });

  test('sees its bytes, properties and header types survive retry and dead letter', async () => {
    const url = await rabbit.freshVhostUrl();
    const { messaging } = await start(url);
    const attempts = new Seen<number>();
    await messaging.subscribe({ route: 'order.created' }, (_, { attempt }) => {
      attempts.add(attempt);
      throw new Error('always');
    });
    const dead = event(messaging, 'dead-lettered');
    const client = await plainClient(url);
    const headers = {
      text: 'x',
      integer: 42,
      large: 2 ** 40,
      negative: -7,
      double: 1.5,
      yes: true,
      nothing: null,
      bytes: Buffer.from([1, 2, 255]),
      list: ['a', 1, { deep: [true] }],
      table: { a: { b: { c: 'd' } } },
      when: { '!': 'timestamp', value: 1_700_000_000 },
    };
    const body = Buffer.from('{"spaces":   1.10, "unicode": "\\u00e4"}');
    client.publish('events', 'order.created', body, {
      headers,
      messageId: 'plain-1',
      type: 'com.example.Created',
      correlationId: 'corr',
      replyTo: 'answers',
      appId: 'legacy',
      timestamp: 1_700_000_001,
      contentType: 'application/json',
      priority: 3,
      expiration: '60000',
      userId: new URL(url).username || 'guest',
      CC: ['order.copied'],
    });
    await dead;
    expect(attempts.all).toEqual([1, 2]);
    const letter = await next(client, 'orders:order.created:dlq');
    expect(letter.content.equals(body)).toBe(true);
    expect(letter.properties).toMatchObject({
      messageId: 'plain-1',
      type: 'com.example.Created',
      correlationId: 'corr',
      replyTo: 'answers',
      appId: 'legacy',
      timestamp: 1_700_000_001,
      contentType: 'application/json',
    });
    expect(letter.properties.priority).toBeUndefined();
    expect(letter.properties.headers).toMatchObject(headers);
    expect(letter.properties.headers).toMatchObject({
      'messaging-origin-route': 'order.created',
      'messaging-attempt': 2,
    });
    expect([letter.properties.expiration, letter.properties.userId]).toEqual([undefined, undefined]);
    expect(letter.properties.headers).not.toHaveProperty('CC');
  });

  test('finds even what no copy can be made of in the dead-letter queue, whole, after one call', async () => {
    const url = await rabbit.freshVhostUrl();
    const { messaging } = await start(url);
    const attempts = new Seen<number>();
    await messaging.subscribe({ route: 'order.created' }, (_, { attempt }) => {
      attempts.add(attempt);
      throw new Error('always');
    });
    const client = await plainClient(url);
    const large = 'h'.repeat(65_450);
    client.publish('events', 'order.created', Buffer.from('{}'), { headers: { large } });
    const letter = await next(client, 'orders:order.created:dlq');
    expect(letter.properties.headers!['large']).toBe(large);
    expect(attempts.all).toEqual([1]);
  });

  test('may let the broker dead-letter by itself: a redrive goes to that queue only', async () => {
    const url = await rabbit.freshVhostUrl();
    const { messaging, get } = await start(url);
    const [here, there] = [new Seen<unknown>(), new Seen<unknown>()];
    await messaging.subscribe({ route: 'order.created' }, (body) => here.add(body));
    await messaging.subscribe({ route: 'order.created', name: 'other' }, (body) => there.add(body));
    const client = await plainClient(url);
    client.publish('', 'orders:order.created:dlq', Buffer.from('"dead"'), {
      headers: {
        'x-death': [
          {
            queue: 'orders:order.created:queue',
            exchange: 'events',
            reason: 'maxlen',
            'routing-keys': ['order.created'],
          },
        ],
      },
    });
    await waitFor(async () => (await get(DeadLetters).list()).length === 1, 'the dead letter');
    expect(await get(DeadLetters).list()).toMatchObject([{ reason: 'broker: maxlen', route: 'order.created' }]);
    expect(await get(DeadLetters).redrive()).toMatchObject({ done: 1, failed: [] });
    expect(await here.until(1)).toEqual(['dead']);
    client.publish('events', 'order.created', Buffer.from('"fence"'));
    expect(await there.until(1)).toEqual(['fence']);
  });

  test('finds a dead letter after the calls asked for, whole, also where its error does not fit into a small frame', async () => {
    const url = await rabbit.freshVhostUrl();
    const { messaging } = await start(`${url}?frameMax=8192`);
    const lost: unknown[] = [];
    messaging.events.on('disconnected', (event) => lost.push(event));
    const attempts = new Seen<number>();
    await messaging.subscribe({ route: 'order.created' }, (_, { attempt }) => {
      attempts.add(attempt);
      throw Object.assign(new Error('ä'.repeat(3_000)), { stack: 's'.repeat(20_000) });
    });
    const client = await plainClient(url);
    const large = 'h'.repeat(5_000);
    client.publish('events', 'order.created', Buffer.from('{}'), { headers: { large } });
    const letter = await next(client, 'orders:order.created:dlq');
    expect(letter.properties.headers).toMatchObject({ large, 'messaging-attempt': 2 });
    expect(letter.properties.headers!['messaging-error-message']).toMatch(/^ä+$/);
    expect([attempts.all, lost]).toEqual([[1, 2], []]);
  });

  test('finds complete error headers beside 60 KiB of its own', async () => {
    const url = await rabbit.freshVhostUrl();
    const { messaging } = await start(url);
    await messaging.subscribe({ route: 'order.created', retry: false }, () => {
      throw Object.assign(new Error('m'.repeat(5_000)), { stack: 's'.repeat(50_000) });
    });
    const dead = event(messaging, 'dead-lettered');
    const client = await plainClient(url);
    const large = 'h'.repeat(60 * 1024);
    client.publish('events', 'order.created', Buffer.from('{}'), { headers: { large } });
    await dead;
    const { headers } = (await next(client, 'orders:order.created:dlq')).properties;
    expect(headers!['large']).toBe(large);
    expect(headers).toMatchObject({
      'messaging-reason': 'attempts-exhausted',
      'messaging-origin-queue': 'orders:order.created:queue',
      'messaging-attempt': 1,
    });
  });
});
