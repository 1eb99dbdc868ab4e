import { afterEach, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import amqp, { type Channel, type ChannelModel } from 'amqplib';
import { MessagingModule, Publisher, Subscribe, type SubscriptionOptions } from 'nestjs-messaging';
import { rabbitmq, type RabbitmqSubscriptionOptions } from 'nestjs-messaging/rabbitmq';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { boot, closeApplications, Seen } from '../e2e/support/application.js';

const QUEUE = 'orders:order.created:queue';
const DLQ = 'orders:order.created:dlq';
let connection: ChannelModel | undefined;

afterEach(async () => {
  await closeApplications();
  await connection?.close();
  connection = undefined;
});

describeRabbit('What exists already', (rabbit) => {
  let url: string;
  let channel: Channel;

  async function operator(): Promise<Channel> {
    url = await rabbit.freshVhostUrl();
    connection = await amqp.connect(url);
    return (channel = await connection.createChannel());
  }

  /** An application with a subscription that may be refused, and one beside it. */
  async function start(options: SubscriptionOptions = {}) {
    const seen = new Seen<number>();
    @Injectable()
    class Handlers {
      @Subscribe('order.created', options)
      handle({ id }: { id: number }): void {
        seen.add(id);
      }
      @Subscribe('invoice.sent')
      other(): void {}
    }
    const app = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: rabbitmq({ url, exchange: 'events' }) })],
      providers: [Handlers],
    });
    return { app, seen };
  }

  async function refused(options?: SubscriptionOptions): Promise<string> {
    const error = await start(options).then(
      () => undefined,
      (failure: Error & { code?: string }) => failure,
    );
    expect(error).toMatchObject({ code: 'TOPOLOGY_MISMATCH' });
    await closeApplications();
    return error!.message;
  }

  async function exists(kind: 'Queue' | 'Exchange', name: string): Promise<boolean> {
    const probe = await connection!.createChannel();
    probe.on('error', () => undefined);
    const there = await probe[`check${kind}`](name).then(
      () => true,
      () => false,
    );
    if (there) await probe.close();
    return there;
  }

  /** The line that the error offers. */
  function offered(message: string): RabbitmqSubscriptionOptions {
    const [, text] = /give the subscription of «[^»]*» `rabbitmq: (\{.*?\})`/s.exec(message)!;
    // eslint-disable-next-line @typescript-eslint/no-implied-eval
    return new Function(`return ${text}`)() as RabbitmqSubscriptionOptions;
  }

  it('is told with all of its differences at once, each with the option that asks for it', async () => {
    await operator();
    await channel.assertQueue(QUEUE, {
      arguments: { 'x-queue-type': 'classic', 'x-message-ttl': 60_000, 'x-max-length': 7 },
    });
    const message = await refused({ rabbitmq: { arguments: { 'x-max-length': 5 } } });
    for (const said of [
      `The queue «${QUEUE}» exists with`,
      /another «x-queue-type»: wanted «quorum», found «classic» \(asked for by «queueType»\)/,
      /another «x-max-length»: wanted «5», found «7» \(asked for by «rabbitmq.arguments»\)/,
      /another «x-message-ttl»: wanted none, found «60000»/,
      /another «x-dead-letter-exchange»: wanted «events.dlx», found none \(asked for by «dlq»\)/,
      /another «x-dead-letter-routing-key»: wanted «orders:order.created:dlq», found none/,
      /another «x-overflow»: wanted «reject-publish», found none \(asked for by «dlq»\)/,
    ])
      expect(message).toMatch(said);
    const { app, seen } = await start({ rabbitmq: offered(message) });
    await app.get(Publisher).publish('order.created', { id: 1 });
    await seen.until(1);
  });

  it('a delivery limit of a quorum queue is told, with the option that asks for it', async () => {
    await operator();
    await channel.assertQueue(QUEUE, { arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 20 } });
    expect(await refused()).toMatch(
      /another «x-delivery-limit»: wanted «1000000», found «20» \(asked for by «deliveryLimit»\)/,
    );
  });

  it.each<[string, Parameters<Channel['assertQueue']>[1]]>([
    ['a classic queue without arguments', { durable: true }],
    ['a quorum queue without arguments', { durable: true, arguments: { 'x-queue-type': 'quorum' } }],
    [
      'a queue with a length, a time to live and priorities',
      { arguments: { 'x-max-length': 7, 'x-message-ttl': 60_000, 'x-max-priority': 5 } },
    ],
    ['a queue with one active consumer', { arguments: { 'x-single-active-consumer': true } }],
    [
      'a queue with dead letters of its owner',
      { arguments: { 'x-dead-letter-exchange': 'theirs', 'x-overflow': 'drop-head' } },
    ],
    ['an auto-deleted queue', { autoDelete: true }],
  ])('is taken as it is by the line that the error has: %s', async (_, args) => {
    await operator();
    await channel.assertQueue(QUEUE, args);
    const options = offered(await refused());
    const { app, seen } = await start({ rabbitmq: options });
    await app.get(Publisher).publish('order.created', { id: 1 });
    await seen.until(1);
  });

  it('of several queues is told in one error, that of a dead-letter queue too, and taken by both lines', async () => {
    await operator();
    await channel.assertQueue(QUEUE, { arguments: { 'x-max-length': 7 } });
    await channel.assertQueue(DLQ, { arguments: { 'x-message-ttl': 60_000 } });
    const [first, second] = (await refused()).split('\n');
    const lines = [offered(first), offered(second)];
    const { app, seen } = await start({ rabbitmq: { ...lines[0], ...lines[1] } });
    await app.get(Publisher).publish('order.created', { id: 1 });
    await seen.until(1);
  });

  it('of a delay level is told in the same error as that of a queue, and nothing is made', async () => {
    await operator();
    await channel.assertQueue(QUEUE, { arguments: { 'x-max-length': 7 } });
    await channel.assertQueue('events.delay.10', { arguments: { 'x-queue-type': 'quorum', 'x-message-ttl': 5 } });
    const told = (await refused()).split('\n');
    expect(told).toHaveLength(2);
    expect(told[0]).toContain(`The queue «${QUEUE}» exists with`);
    expect(told[1]).toMatch(
      /The queue «events\.delay\.10» exists with .*another «x-message-ttl»: wanted «1024», found «5» \(asked for by delayed messages and retries\).*delete the queue once it is empty/,
    );
    for (const queue of [DLQ, 'events.due', 'events.delay.11'])
      expect([queue, await exists('Queue', queue)]).toEqual([queue, false]);
  });

  it('and is refused leaves nothing of ours on the broker', async () => {
    await operator();
    await channel.assertQueue(QUEUE, { durable: true });
    await refused();
    const queues = [DLQ, 'orders:invoice.sent:queue', 'orders:invoice.sent:dlq', 'orders:declared', 'events.due'];
    for (const queue of queues) expect([queue, await exists('Queue', queue)]).toEqual([queue, false]);
    // Publishing declares its exchange at the first publish only.
    for (const exchange of ['events', 'events.dlx', 'events.delay', 'events.due', 'events.due.unrouted'])
      expect([exchange, await exists('Exchange', exchange)]).toEqual([exchange, false]);
    expect(await channel.checkQueue(QUEUE)).toMatchObject({ consumerCount: 0 });
  });

  it.each(['direct', 'fanout', 'headers'] as const)(
    'a %s exchange of somebody else is bound with exchangeType',
    async (type) => {
      await operator();
      await channel.assertExchange('theirs', type);
      const message = await refused({ topic: 'theirs' });
      expect(message).toContain(`The exchange «theirs» exists with another «type»: wanted «topic», found «${type}»`);
      expect(offered(message)).toEqual({ exchangeType: type });
      const { seen } = await start({ topic: 'theirs', rabbitmq: { exchangeType: type } });
      channel.publish('theirs', 'order.created', Buffer.from('{"id":1}'), { contentType: 'application/json' });
      await seen.until(1);
    },
  );

  it('an exchange with an alternate exchange is used as it is', async () => {
    await operator();
    await channel.assertExchange('events', 'topic', { alternateExchange: 'unrouted' });
    const { seen } = await start();
    channel.publish('events', 'order.created', Buffer.from('{"id":1}'), { contentType: 'application/json' });
    await seen.until(1);
  });
});
