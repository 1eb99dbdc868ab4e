import { afterEach, describe, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import amqp from 'amqplib';
import {
  DeadLetters,
  fixed,
  memory,
  MemoryBroker,
  type MessageContext,
  MessagingModule,
  Publisher,
  Subscribe,
  type SubscriptionOptions,
} from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { nestEnvelope } from 'nestjs-messaging/serializers';
import { describeNatsNode } from '../brokers/nats.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { closePlain, managerOf } from '../nats/plain.js';
import { type Application, boot, closeApplications, event, Seen } from './support/application.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await closeApplications();
  await Promise.all(closers.splice(0).map((close) => close()));
});

/** A handler of the queue «legacy» that fails for «bad», and sees what comes. */
function handlerOf(seen: Seen<unknown>, options: SubscriptionOptions, route = 'order.#') {
  @Injectable()
  class Handler {
    @Subscribe({ route, queue: 'legacy', name: 'legacy', retry: { attempts: 2, backoff: fixed(10) }, ...options })
    handle(payload: unknown, context: MessageContext): void {
      seen.add([context.route, payload, context.attempt]);
      if (JSON.stringify(payload).includes('bad')) throw new Error('bad');
    }
  }
  return Handler;
}

describeRabbit('A queue of somebody else’s on RabbitMQ', (rabbit) => {
  async function legacy(options: amqp.Options.AssertQueue) {
    const url = await rabbit.freshVhostUrl();
    const connection = await amqp.connect(url);
    closers.push(() => connection.close());
    const channel = await connection.createChannel();
    await channel.assertExchange('events', 'topic');
    await channel.assertQueue('legacy', options);
    const isThere = (queue: string): Promise<boolean> =>
      connection.createChannel().then((one) => {
        one.on('error', () => undefined);
        return one.checkQueue(queue).then(
          () => one.close().then(() => true),
          () => false,
        );
      });
    const start = (handler: new () => unknown): Promise<Application> =>
      boot({
        imports: [MessagingModule.forRoot({ service: 'ours', transport: rabbitmq({ url, exchange: 'events' }) })],
        providers: [handler],
      });
    return { channel, isThere, start };
  }

  test.each<[string, amqp.Options.AssertQueue]>([
    ['golevelup makes it: durable, without arguments', { durable: true }],
    ['Nest makes it by default: durable', { durable: true, arguments: {} }],
    ['somebody makes a transient one that goes by itself', { durable: false, autoDelete: true }],
    [
      'a quorum queue with a dead-letter exchange',
      { arguments: { 'x-queue-type': 'quorum', 'x-dead-letter-exchange': 'theirs' } },
    ],
    ['one with priorities, a bound and a time to live', { maxPriority: 5, maxLength: 1_000, messageTtl: 600_000 }],
  ])('is taken over as it is, where %s', async (_, options) => {
    const { channel, isThere, start } = await legacy(options);
    await channel.bindQueue('legacy', 'events', 'legacy.#');
    const seen = new Seen<unknown>();
    const { get, messaging } = await start(handlerOf(seen, { adopt: true, serializer: nestEnvelope() }));
    const dead = event(messaging, 'dead-lettered');
    channel.publish('events', 'legacy.one', Buffer.from('{"a":1}'));
    channel.sendToQueue('legacy', Buffer.from('{"pattern":"by.name","data":{"a":2}}'));
    await get(Publisher).publish('order.bad', { bad: true }, { id: 'bad' });
    await dead;
    const all = (await seen.until(4)).map((one) => JSON.stringify(one)).sort();
    expect(all).toEqual([
      '["by.name",{"a":2},1]',
      '["legacy.one",{"a":1},1]',
      '["order.bad",{"bad":true},1]',
      '["order.bad",{"bad":true},2]',
    ]);
    expect(await get(DeadLetters).show('bad')).toMatchObject({ route: 'order.bad', origin: { queue: 'legacy' } });
    expect(await isThere('ours:legacy:dlq')).toBe(true);
    // Still what it was: whoever made it can declare it again.
    await channel.assertQueue('legacy', options);
  });

  test('is refused without «adopt», with every difference and both remedies in one error, and nothing is left', async () => {
    const { isThere, start } = await legacy({ durable: false, maxLength: 10 });
    const refused = await start(handlerOf(new Seen(), {})).catch((error: Error & { code: string }) => error);
    expect(refused).toMatchObject({ code: 'TOPOLOGY_MISMATCH' });
    const { message } = refused as Error;
    for (const argument of [
      'durable',
      'x-queue-type',
      'x-dead-letter-exchange',
      'x-dead-letter-routing-key',
      'x-max-length',
    ])
      expect(message).toContain(`another «${argument}»`);
    expect(message).toContain("'x-dead-letter-exchange': undefined");
    expect(message).toContain('or `adopt: true` where it is somebody else’s');
    for (const queue of ['ours:legacy:dlq', 'ours:declared', 'events.due']) expect(await isThere(queue)).toBe(false);
  });

  test('that is not there is refused, and nothing is left', async () => {
    const { channel, isThere, start } = await legacy({ durable: true });
    await channel.deleteQueue('legacy');
    await expect(start(handlerOf(new Seen(), { adopt: true }))).rejects.toMatchObject({
      code: 'TOPOLOGY_MISMATCH',
      message: expect.stringMatching(/«legacy» does not exist, and with «adopt: true»/) as unknown,
    });
    for (const queue of ['legacy', 'ours:legacy:dlq', 'ours:declared', 'events.due'])
      expect(await isThere(queue)).toBe(false);
  });

  test('is taken with arguments of ours left out by `undefined`, as the error says', async () => {
    const { start } = await legacy({ durable: true });
    const without = { 'x-queue-type': undefined, 'x-dead-letter-exchange': undefined };
    const seen = new Seen<unknown>();
    const { get } = await start(
      handlerOf(seen, {
        rabbitmq: { queueType: 'classic', arguments: { ...without, 'x-dead-letter-routing-key': undefined } },
      }),
    );
    await get(Publisher).publish('order.created', 1);
    expect(await seen.until(1)).toEqual([['order.created', 1, 1]]);
  });

  test('that is a stream is refused; so are options that say what it is', async () => {
    const { start } = await legacy({ arguments: { 'x-queue-type': 'stream' } });
    await expect(start(handlerOf(new Seen(), { adopt: true }))).rejects.toThrow(/«legacy» is a stream/);
    await expect(start(handlerOf(new Seen(), { adopt: true, rabbitmq: { durable: false } }))).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
  });
});

describeNatsNode('A consumer of somebody else’s on NATS', (server) => {
  afterEach(closePlain);

  async function legacy(config: object | undefined) {
    const { url } = await server.start();
    const manager = await managerOf(url);
    await manager.streams.add({ name: 'events', subjects: ['events.>', '_events.>'], retention: 'interest' });
    if (config) await manager.consumers.add('events', { durable_name: 'legacy', ...config });
    const start = (handler: new () => unknown): Promise<Application> =>
      boot({
        imports: [MessagingModule.forRoot({ service: 'ours', transport: nats({ servers: url, syncAlways: true }) })],
        providers: [handler],
      });
    const names = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const { name } of manager.consumers.list('events')) found.push(name);
      return found.sort();
    };
    return { manager, start, names };
  }

  test('is taken over with what it is bound by, and its retries and dead letters beside it', async () => {
    const own = { ack_policy: 'explicit', filter_subject: 'events.legacy.>' };
    const { manager, start, names } = await legacy(own);
    const seen = new Seen<unknown>();
    const { get, messaging } = await start(handlerOf(seen, { adopt: true }));
    const dead = event(messaging, 'dead-lettered');
    await get(Publisher).publish('legacy.one', { a: 1 });
    await get(Publisher).publish('order.bad', { bad: true }, { id: 'bad' });
    await dead;
    const all = (await seen.until(3)).map((one) => JSON.stringify(one)).sort();
    expect(all).toEqual(['["legacy.one",{"a":1},1]', '["order.bad",{"bad":true},1]', '["order.bad",{"bad":true},2]']);
    expect(await get(DeadLetters).show('bad')).toMatchObject({ origin: { queue: 'legacy' } });
    const { config } = await manager.consumers.info('events', 'legacy');
    expect(config).toMatchObject({ ack_policy: 'explicit', max_deliver: -1 });
    expect(await names()).toContain('legacy');
  });

  test('that cannot be worked with is refused, with every difference in one error; nothing is left', async () => {
    const { start, names } = await legacy({ ack_policy: 'all', max_deliver: 5, ack_wait: 1e9 });
    const refused = await start(handlerOf(new Seen(), { adopt: true })).catch((error: Error) => error);
    expect(refused).toMatchObject({ code: 'TOPOLOGY_MISMATCH' });
    expect((refused as Error).message).toMatch(/ack policy.*max_deliver.*ack_wait.*nats consumer edit/s);
    expect(await names()).toEqual(['legacy']);
  });

  test('that is not there is refused, and nothing is left', async () => {
    const { start, names } = await legacy(undefined);
    await expect(start(handlerOf(new Seen(), { adopt: true }))).rejects.toThrow(/«legacy» does not exist, and with/);
    expect(await names()).toEqual([]);
  });
});

describe('adopt', () => {
  test('on the embedded broker: what is there is used, what is not is refused', async () => {
    const broker = new MemoryBroker();
    const start = (service: string, options: SubscriptionOptions, seen = new Seen<unknown>()): Promise<Application> =>
      boot({
        imports: [MessagingModule.forRoot({ service, transport: memory({ broker }) })],
        providers: [handlerOf(seen, options)],
      });
    await expect(start('ours', { adopt: true })).rejects.toThrow(/«legacy» does not exist, and with «adopt: true»/);
    await (await start('theirs', { memory: { maxMessages: 7 } })).close();
    await expect(start('ours', {})).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' });
    const seen = new Seen<unknown>();
    const { get } = await start('ours', { adopt: true }, seen);
    await get(Publisher).publish('order.created', 1);
    expect(await seen.until(1)).toEqual([['order.created', 1, 1]]);
  });

  test.each<[string, SubscriptionOptions, RegExp]>([
    ['no queue', { queue: undefined, adopt: true }, /«queue», its name/],
    ['a queue of each process', { queue: undefined, exclusive: true, adopt: true }, /adopt/],
    ['what is no boolean', { adopt: 'yes' as never }, /adopt/],
  ])('beside %s is refused', async (_, options, message) => {
    await expect(
      boot({ imports: [MessagingModule.forRoot({})], providers: [handlerOf(new Seen(), options)] }),
    ).rejects.toThrow(message);
  });
});
