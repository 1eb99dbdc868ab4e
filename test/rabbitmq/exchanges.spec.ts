import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { MessagingModule, Publisher } from 'nestjs-messaging';
import { rabbitmq, type RabbitmqExchange } from 'nestjs-messaging/rabbitmq';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { type Application, boot, closeApplications, Seen } from '../e2e/support/application.js';

test.each<[unknown, string]>([
  [{}, 'rabbitmq.exchanges'],
  [[{ name: '' }], 'rabbitmq.exchanges.name'],
  [[{ name: 'a' }, { name: 'a' }], 'rabbitmq.exchanges.name'],
  [[{ name: 'a', typ: 'fanout' }], 'rabbitmq.exchanges.typ'],
  [[{ name: 'a', durable: 'no' }], 'rabbitmq.exchanges.durable'],
  [[{ name: 'a', bindings: [{ exchange: 'b', routingKey: 'c' }] }], 'rabbitmq.exchanges.bindings.routingKey'],
])('exchanges %j are refused by name', (exchanges, option) => {
  expect(() => rabbitmq({ exchanges: exchanges as RabbitmqExchange[] })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', option }),
  );
});

describeRabbit('exchanges that are no durable topics', (rabbit) => {
  let url: string;
  let model: ChannelModel;
  let channel: Channel;

  beforeAll(async () => {
    url = await rabbit.freshVhostUrl();
    model = await connect(url);
    channel = await model.createChannel();
  });
  afterAll(() => model?.close());
  afterEach(closeApplications);

  const start = (exchanges: readonly RabbitmqExchange[]): Promise<Application> =>
    boot({ imports: [MessagingModule.forRoot({ service: 'shop', transport: rabbitmq({ url, exchanges }) })] });

  test('a queue has bindings to several of them, with arguments; unbind takes all of them away', async () => {
    const application = await start([
      { name: 'all', type: 'fanout', durable: false },
      { name: 'kinds', type: 'headers' },
      { name: 'reached', type: 'direct', internal: true, bindings: [{ exchange: 'all', key: '' }] },
    ]);
    const seen = new Seen<unknown>();
    const bindings = [
      { exchange: 'kinds', key: '', arguments: { 'x-match': 'all', kind: 'urgent' } },
      { exchange: 'reached', key: 'one' },
    ];
    const subscription = await application.messaging.subscribe(
      { route: 'order.created', name: 'orders', rabbitmq: { bindings } },
      (payload) => seen.add(payload),
    );
    const publisher = application.get(Publisher);
    await publisher.publish('order.created', 1);
    await publisher.publish('one', 2, { topic: 'all' });
    await publisher.publish('any', 3, { topic: 'kinds', headers: { kind: 'urgent' } });
    await expect(publisher.publish('two', 4, { topic: 'all' })).rejects.toMatchObject({ code: 'UNROUTABLE' });
    await expect(publisher.publish('any', 5, { topic: 'kinds' })).rejects.toMatchObject({ code: 'UNROUTABLE' });
    expect([...(await seen.until(3))].sort()).toEqual([1, 2, 3]);
    await subscription.unbind();
    for (const [route, topic] of [
      ['order.created', 'events'],
      ['one', 'all'],
    ] as const)
      await expect(publisher.publish(route, 6, { topic })).rejects.toMatchObject({ code: 'UNROUTABLE' });
  });

  test('they come back when somebody has deleted them', async () => {
    const application = await start([{ name: 'gone', type: 'fanout' }]);
    const seen = new Seen<unknown>();
    await application.messaging.subscribe(
      {
        route: 'any',
        queue: 'left',
        name: 'left',
        bind: false,
        rabbitmq: { bindings: [{ exchange: 'gone', key: '' }] },
      },
      (payload) => seen.add(payload),
    );
    const publisher = application.get(Publisher);
    await publisher.publish('any', 1, { topic: 'gone' });
    await channel.deleteExchange('gone');
    await publisher.publish('any', 2, { topic: 'gone', unroutable: 'queue' });
    expect(await seen.until(2)).toEqual([1, 2]);
    await channel.assertExchange('gone', 'fanout');
  });

  test('one that exists otherwise, or is not there with declare: false, refuses the boot', async () => {
    await channel.assertExchange('taken', 'direct', { durable: false });
    await expect(start([{ name: 'taken', type: 'fanout' }])).rejects.toMatchObject({
      code: 'TOPOLOGY_MISMATCH',
      message: expect.stringMatching(/The exchange «taken» exists with .*type.*durable.*`declare: false`/s),
    });
    await expect(start([{ name: 'nowhere', declare: false }])).rejects.toMatchObject({
      code: 'TOPOLOGY_MISMATCH',
      message: expect.stringContaining('The exchange «nowhere» does not exist'),
    });
    const application = await start([{ name: 'taken', declare: false }]);
    await application.get(Publisher).publish('any', 1, { topic: 'taken', unroutable: 'ignore' });
    const bindings = [{ exchange: 'missing', key: 'a' }];
    await expect(
      application.messaging.subscribe({ route: 'a', rabbitmq: { bindings } }, () => undefined),
    ).rejects.toMatchObject({ message: expect.stringContaining('The exchange «missing» does not exist') });
  });
});
