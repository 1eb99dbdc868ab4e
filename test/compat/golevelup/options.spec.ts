import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { Controller, Injectable, Module } from '@nestjs/common';
import { getMessagingToken, type Messaging } from 'nestjs-messaging';
import {
  ackErrorHandler,
  AmqpConnection,
  defaultNackErrorHandler,
  GolevelupCompatModule,
  type MessageHandlerOptions,
  MessageHandlerErrorBehavior,
  Nack,
  RabbitHeader,
  RabbitPayload,
  RabbitRequest,
  RabbitRPC,
  RabbitSubscribe,
  requeueErrorHandler,
  RpcTimeoutError,
} from 'nestjs-messaging/compat/golevelup';
import { describeRabbit } from '../../brokers/rabbitmq.js';
import { type Application, closeApplications, event, Seen } from '../../e2e/support/application.js';
import { Handled, starter } from './support.js';

const { ACK, NACK, REQUEUE } = MessageHandlerErrorBehavior;
const broken = (): never => {
  throw new Error('broken');
};

describeRabbit('the options of golevelup', (rabbit) => {
  let url: string;
  let model: ChannelModel;
  let channel: Channel;
  let number = 0;
  const start = starter(() => url);

  beforeAll(async () => {
    url = await rabbit.freshVhostUrl();
    model = await connect(url);
    channel = await model.createChannel();
    await channel.assertExchange('shop', 'topic');
  });
  afterAll(() => model?.close());
  afterEach(closeApplications);

  /** A queue of its own, bound by a key of its own. */
  const own = (more: MessageHandlerOptions = {}): MessageHandlerOptions & { queue: string; routingKey: string } => {
    const queue = `queue-${++number}`;
    return { exchange: 'shop', routingKey: `key.${number}`, queue, ...more } as never;
  };
  const publish = (application: Application, { routingKey = '' }: MessageHandlerOptions, message: unknown = { a: 1 }) =>
    application.get(AmqpConnection).publish('shop', [routingKey].flat()[0], message);
  const depth = async (queue: string): Promise<number> => (await channel.checkQueue(queue)).messageCount;
  const deadLettered = (application: Application): Promise<{ delivery: unknown; reason: string }> =>
    event(application.messaging, 'dead-lettered');

  describe('parameters', () => {
    test('payload, headers and message, whole or by property, and undecorated in that order', async () => {
      const seen = new Seen<unknown[]>();
      const options = own();
      @Injectable()
      class Orders {
        @RabbitSubscribe(options)
        created(
          @RabbitHeader('tenant') tenant: unknown,
          @RabbitPayload() order: unknown,
          @RabbitPayload('id') id: unknown,
          @RabbitRequest('fields') fields: { routingKey: string },
        ): void {
          seen.add([order, id, tenant, fields.routingKey]);
        }
      }
      const plain = new Handled({ ...options, queue: `${options.queue}-plain` });
      const application = await start([Orders, plain]);
      await application
        .get(AmqpConnection)
        .publish('shop', options.routingKey, { id: 7 }, { headers: { tenant: 'a' } });
      expect(await seen.until(1)).toEqual([[{ id: 7 }, 7, 'a', options.routingKey]]);
      const [call] = await plain.until(1);
      expect(call.payload).toEqual({ id: 7 });
      expect(call.message).toMatchObject({ fields: { exchange: 'shop', routingKey: options.routingKey } });
      expect(call.headers).toMatchObject({ tenant: 'a' });
    });
  });

  describe('errors', () => {
    test.each([
      ['NACK', { errorBehavior: NACK }],
      ['an errorHandler that nacks', { errorHandler: defaultNackErrorHandler }],
    ] as const)('%s: a dead letter after one call', async (_, more) => {
      const handled = new Handled(own(more), broken);
      const application = await start([handled]);
      const dead = deadLettered(application);
      await publish(application, { routingKey: `key.${number}` });
      expect((await dead).reason).toBe('unrecoverable');
      expect(handled.calls).toHaveLength(1);
      expect(await depth(`shop:queue-${number}:dlq`)).toBe(1);
    });

    test.each([
      ['ACK', { errorBehavior: ACK }],
      ['an errorHandler that acks', { errorHandler: ackErrorHandler }],
    ] as const)('%s: gone after one call, and told as an error', async (_, more) => {
      const handled = new Handled(own(more), broken);
      const application = await start([handled]);
      const done = event(application.messaging, 'settled');
      await publish(application, { routingKey: `key.${number}` });
      await done;
      expect(handled.calls).toHaveLength(1);
      expect(await depth(`shop:queue-${number}:dlq`)).toBe(0);
      expect(application.log.lines.join('\n')).toContain('Orders.taken failed: broken');
    });

    test.each([
      ['nothing is said', {}, broken],
      ['REQUEUE', { errorBehavior: REQUEUE }, broken],
      ['an errorHandler that requeues', { errorHandler: requeueErrorHandler }, broken],
      ['an errorHandler that decides nothing', { errorHandler: () => undefined }, broken],
      ['new Nack(true)', {}, () => new Nack(true)],
      ['new Nack(true) beside ACK', { errorBehavior: ACK }, () => new Nack(true)],
      ['new Nack(true) beside NACK', { errorBehavior: NACK }, () => new Nack(true)],
      ['new Nack(true) beside an errorHandler', { errorHandler: ackErrorHandler }, () => new Nack(true)],
      ['new Nack(true) of a batch', { errorBehavior: ACK, batchOptions: { size: 1 } }, () => new Nack(true)],
    ])(
      '%s: retried by the policy of the module, then a dead letter; a retry says where it came from',
      async (_, more, work) => {
        const handled = new Handled(own(more), work);
        const application = await start([handled]);
        const dead = deadLettered(application);
        await publish(application, { routingKey: `key.${number}` });
        expect((await dead).reason).toBe('attempts-exhausted');
        expect(handled.calls).toHaveLength(2);
        expect([handled.calls[1].message].flat()[0].fields).toMatchObject({
          exchange: 'shop',
          routingKey: `key.${number}`,
        });
      },
    );

    test('new Nack() is a dead letter; where the queue has a dead-letter exchange of its own, that gets it', async () => {
      await channel.assertExchange('theirs', 'fanout');
      await channel.assertQueue('theirs-dead');
      await channel.bindQueue('theirs-dead', 'theirs', '');
      const options = own({ queueOptions: { deadLetterExchange: 'theirs' } });
      const handled = new Handled(options, () => new Nack());
      const application = await start([handled]);
      const came = new Promise<any>((resolve) => void channel.consume('theirs-dead', resolve, { noAck: true }));
      await publish(application, options);
      const { properties, content } = await came;
      expect(JSON.parse(content.toString())).toEqual({ a: 1 });
      expect(properties.headers['x-death'][0]).toMatchObject({ queue: options.queue, reason: 'rejected' });
      expect(handled.calls).toHaveLength(1);
    });

    test('a message that came without a key is retried as well', async () => {
      const queue = `queue-${++number}`;
      const handled = new Handled({ exchange: 'nameless', routingKey: '', queue }, broken);
      const application = await start([handled], { exchanges: [{ name: 'nameless', type: 'fanout' }] });
      const dead = deadLettered(application);
      channel.publish('nameless', '', Buffer.from('{"a":1}'));
      expect((await dead).reason).toBe('attempts-exhausted');
      expect(handled.calls.map(({ payload }) => payload)).toEqual([{ a: 1 }, { a: 1 }]);
    });

    test('defaultSubscribeErrorBehavior holds where a handler says nothing', async () => {
      const options = own();
      const application = await start([new Handled(options, broken)], { defaultSubscribeErrorBehavior: NACK });
      const dead = deadLettered(application);
      await publish(application, options);
      expect((await dead).reason).toBe('unrecoverable');
    });

    test('an errorHandler may publish, and what it cannot do says what can', async () => {
      const refused: string[] = [];
      const parked = `parked-${++number}`;
      await channel.assertQueue(parked);
      const options = own({
        errorHandler: (given, message, error) => {
          given.sendToQueue(parked, Buffer.from((error as Error).message), { headers: { why: 'broken' } });
          try {
            void given.assertQueue('more');
          } catch (thrown) {
            refused.push((thrown as Error).message);
          }
          given.ack(message);
        },
      });
      const application = await start([new Handled(options, broken)]);
      const came = new Promise<any>((resolve) => void channel.consume(parked, resolve, { noAck: true }));
      await publish(application, options);
      const { content, properties } = await came;
      expect([content.toString(), properties.headers.why]).toEqual(['broken', 'broken']);
      expect(refused).toEqual([expect.stringMatching(/^channel\.assertQueue: .*messaging\.native\(\)/)]);
    });
  });

  describe('queues', () => {
    test('are made as theirs are, so that theirs finds them unchanged, and are found as theirs has made them', async () => {
      const args = { arguments: { 'x-queue-mode': 'lazy' }, messageTtl: 60_000, maxLength: 100, maxPriority: 5 };
      const [made, found] = [own({ queueOptions: args }), own({ queueOptions: args })];
      await channel.assertQueue(found.queue, args);
      const handled = [new Handled(made), new Handled(found)];
      const application = await start(handled);
      const fresh = await model.createChannel();
      await fresh.assertQueue(made.queue, args);
      await fresh.close();
      await publish(application, made);
      await publish(application, found);
      await Promise.all(handled.map((one) => one.until(1)));
    });

    test('one that exists otherwise refuses the start with every difference, and leaves nothing', async () => {
      const options = own({ queueOptions: { messageTtl: 1_000 } });
      await channel.assertQueue(options.queue, { maxLength: 5 });
      await expect(start([new Handled(options)])).rejects.toMatchObject({
        code: 'TOPOLOGY_MISMATCH',
        message: expect.stringMatching(/x-message-ttl.*x-max-length|x-max-length.*x-message-ttl/s),
      });
      const probe = await model.createChannel();
      probe.on('error', () => undefined);
      await expect(probe.checkQueue(`shop:${options.queue}:dlq`)).rejects.toThrow('NOT_FOUND');
    });

    test('createQueueIfNotExists: false takes a queue as it is, and one that is not there refuses the start', async () => {
      const options = own({ createQueueIfNotExists: false });
      await expect(start([new Handled(options)])).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' });
      await channel.assertQueue(options.queue, { maxLength: 5, arguments: { 'x-queue-type': 'quorum' } });
      const handled = new Handled(options);
      await publish(await start([handled]), options);
      await handled.until(1);
    });

    test('without a name each process has one, that goes with it', async () => {
      const options = { exchange: 'shop', routingKey: `key.${++number}` };
      const [one, two] = [new Handled(options), new Handled(options)];
      const application = await start([one]);
      await start([two]);
      const { queue } = application.messaging.health().consumers[0];
      await publish(application, options);
      await Promise.all([one.until(1), two.until(1)]);
      await application.close();
      const probe = await model.createChannel();
      probe.on('error', () => undefined);
      await expect(probe.checkQueue(queue)).rejects.toThrow('NOT_FOUND');
    });

    test('several keys, exchanges, and arguments of a binding lead to one queue', async () => {
      const queue = `queue-${++number}`;
      const handled = new Handled({
        exchange: 'shop',
        routingKey: [`a.${number}`, `b.${number}.#`],
        bindings: [{ exchange: 'stock', routingKey: `c.${number}` }],
        queue,
      });
      const matched = new Handled({
        exchange: 'by-header',
        routingKey: '',
        queue: `${queue}-headers`,
        queueOptions: { bindQueueArguments: { 'x-match': 'all', kind: 'urgent' } },
      });
      const all = new Handled({ exchange: 'everyone', routingKey: '', queue: `${queue}-all` });
      const application = await start([handled, matched, all], {
        exchanges: [
          { name: 'shop', type: 'topic' },
          { name: 'stock', type: 'direct' },
          { name: 'by-header', type: 'headers' },
          { name: 'everyone', type: 'fanout', options: { durable: false, autoDelete: true } },
        ],
      });
      const connection = application.get(AmqpConnection);
      await connection.publish('shop', `a.${number}`, 1);
      await connection.publish('shop', `b.${number}.x.y`, 2);
      await connection.publish('stock', `c.${number}`, 3);
      await connection.publish('by-header', '', 4, { headers: { kind: 'idle' } });
      await connection.publish('by-header', '', 5, { headers: { kind: 'urgent' } });
      await connection.publish('everyone', '', 6);
      expect((await handled.until(3)).map(({ payload }) => payload).sort()).toEqual([1, 2, 3]);
      expect((await matched.until(1)).map(({ payload }) => payload)).toEqual([5]);
      expect((await all.until(1)).map(({ payload }) => payload)).toEqual([6]);
    });

    test('handlers that share one get what is for their keys', async () => {
      const queue = `queue-${++number}`;
      const [one, two] = ['created', 'paid.*'].map(
        (key) => new Handled({ exchange: 'shop', routingKey: `${queue}.${key}`, queue }),
      );
      const application = await start([one, two]);
      await publish(application, { routingKey: `${queue}.paid.twice` }, 2);
      await publish(application, { routingKey: `${queue}.created` }, 1);
      expect((await one.until(1))[0].payload).toBe(1);
      expect((await two.until(1))[0].payload).toBe(2);
    });

    test.each([
      ['the same key twice', {}, {}, 'both handle'],
      ['other options', { routingKey: 'x.one' }, { routingKey: 'x.two', queueOptions: { maxLength: 1 } }, 'differ in'],
      ['a batch', { routingKey: 'x.one' }, { routingKey: 'x.two', batchOptions: { size: 2 } }, 'takes batches'],
    ])('handlers that cannot share one are refused by name: %s', async (_, one, two, told) => {
      const options = own();
      const handlers = [new Handled({ ...options, ...one }), new Handled({ ...options, ...two })];
      await expect(start(handlers)).rejects.toMatchObject({
        code: 'SUBSCRIPTION_CONFLICT',
        message: expect.stringContaining(told),
      });
    });

    test('queues, exchanges and bindings between them, of the module, are there without a handler', async () => {
      const [queue, from, to] = ['waiting', 'outer', 'inner'].map((name) => `${name}-${++number}`);
      const application = await start([], {
        exchanges: [{ name: from }, { name: to, type: 'fanout', options: { internal: true } }],
        exchangeBindings: [{ destination: to, source: from, pattern: 'a.#' }],
        queues: [{ name: queue, options: { maxLength: 3 }, exchange: to, routingKey: '' }],
        registerHandlers: false,
      });
      await application.get(AmqpConnection).publish(from, 'a.b', 'hello');
      const came = await channel.get(queue, { noAck: true });
      expect(came && JSON.parse(came.content.toString())).toBe('hello');
      const fresh = await model.createChannel();
      await fresh.assertQueue(queue, { maxLength: 3 });
      await fresh.close();
    });

    test('a queue of the module is consumed by a handler that leaves its options to it', async () => {
      const options = own({ createQueueIfNotExists: false });
      const handled = new Handled(options);
      const application = await start([handled], { queues: [{ name: options.queue, options: { maxLength: 9 } }] });
      await publish(application, options);
      await handled.until(1);
    });
  });

  describe('bodies', () => {
    test('an empty one is undefined; allowNonJsonMessages hands over the text; else a dead letter', async () => {
      const [empty, text, refused] = [own(), own({ allowNonJsonMessages: true }), own()];
      const handled = [empty, text, refused].map((options) => new Handled(options));
      const application = await start(handled);
      const dead = deadLettered(application);
      channel.publish('shop', empty.routingKey, Buffer.alloc(0));
      channel.publish('shop', text.routingKey, Buffer.from('{ no json'));
      channel.publish('shop', refused.routingKey, Buffer.from('{ no json'));
      expect((await handled[0].until(1))[0].payload).toBeUndefined();
      expect((await handled[1].until(1))[0].payload).toBe('{ no json');
      expect((await dead).reason).toBe('undecodable');
      expect(handled[2].calls).toEqual([]);
    });

    test('the deserializer of the module, and over it that of a handler, sees bytes and message', async () => {
      const read = (how: string) => (body: Buffer, message: any) => [how, body.toString(), message.fields.routingKey];
      const [one, two] = [own(), own({ deserializer: read('own') })];
      const handled = [new Handled(one), new Handled(two)];
      const application = await start(handled, {
        deserializer: read('module'),
        serializer: (value) => Buffer.from(`<${String(value)}>`),
      });
      await publish(application, one, 'x');
      await publish(application, two, 'y');
      expect((await handled[0].until(1))[0].payload).toEqual(['module', '<x>', one.routingKey]);
      expect((await handled[1].until(1))[0].payload).toEqual(['own', '<y>', two.routingKey]);
    });
  });

  describe('batches', () => {
    test('have payloads, messages and headers; what one fails with holds for all', async () => {
      const options = own({ batchOptions: { size: 3, timeout: 60_000 }, errorBehavior: NACK });
      const handled = new Handled(options, (_, call) => (call === 1 ? undefined : broken()));
      const application = await start([handled]);
      for (const id of [1, 2, 3]) await publish(application, options, id);
      const [{ payload, message, headers }] = await handled.until(1);
      expect([...payload].sort()).toEqual([1, 2, 3]);
      expect([message.length, headers.length, message[0].fields.exchange]).toEqual([3, 3, 'shop']);
      let dead = 0;
      const all = new Promise<void>((resolve) =>
        application.messaging.events.on('dead-lettered', () => ++dead === 3 && resolve()),
      );
      for (const id of [4, 5, 6]) await publish(application, options, id);
      await all;
    });

    test('one that is not full comes after its time; its errorHandler settles each', async () => {
      const options = own({
        batchOptions: {
          size: 50,
          timeout: 100,
          errorHandler: (given, messages) =>
            messages.forEach((message) =>
              String(message.content) === '1' ? given.ack(message) : given.nack(message, false, false),
            ),
        },
      });
      const handled = new Handled(options, broken);
      const application = await start([handled]);
      const dead = deadLettered(application);
      await publish(application, options, 1);
      await publish(application, options, 2);
      expect((await dead).reason).toBe('unrecoverable');
      expect(await depth(`shop:${options.queue}:dlq`)).toBe(1);
    });
  });

  describe('requests', () => {
    test('are answered, also with nothing; by the handler of their key; with the headers they have', async () => {
      const queue = `queue-${++number}`;
      const answer = (key: string, work: (call: any) => unknown) =>
        new Handled({ exchange: 'shop', routingKey: `${queue}.${key}`, queue }, work, RabbitRPC);
      const application = await start([
        answer('quote', ({ payload }) => ({ price: payload.item.length })),
        answer('nothing', () => undefined),
      ]);
      const connection = application.get(AmqpConnection);
      const ask = (key: string) =>
        connection.request<any>({
          exchange: 'shop',
          routingKey: `${queue}.${key}`,
          payload: { item: 'ball' },
          headers: { 'X-Request-ID': '7' },
        });
      expect(await ask('quote')).toEqual({ price: 4 });
      expect(await ask('nothing')).toBeUndefined();
      const replies = await channel.assertQueue('', { exclusive: true });
      const came = new Promise<any>((resolve) => void channel.consume(replies.queue, resolve, { noAck: true }));
      channel.publish('shop', `${queue}.quote`, Buffer.from('{"item":"a"}'), {
        replyTo: replies.queue,
        correlationId: 'c',
        headers: { 'X-Request-ID': '8' },
      });
      const { properties, content } = await came;
      expect([properties.correlationId, properties.headers['X-Request-ID'], JSON.parse(content.toString())]).toEqual([
        'c',
        '8',
        { price: 1 },
      ]);
    });

    test('one that nobody answers is an RpcTimeoutError, and one that nobody takes is refused at once', async () => {
      const options = own();
      const application = await start([new Handled(options)]);
      const connection = application.get(AmqpConnection);
      const { routingKey } = options;
      await expect(connection.request({ exchange: 'shop', routingKey, timeout: 50 })).rejects.toBeInstanceOf(
        RpcTimeoutError,
      );
      await expect(connection.request({ exchange: 'shop', routingKey: 'nobody' })).rejects.toMatchObject({
        code: 'UNROUTABLE',
      });
    });

    test('one has the priority that is given', async () => {
      const options = own();
      const answered = new Handled(options, ({ message }) => message.properties.priority, RabbitRPC);
      const connection = (await start([answered])).get(AmqpConnection);
      const { routingKey } = options;
      expect(await connection.request({ exchange: 'shop', routingKey, publishOptions: { priority: 7 } })).toBe(7);
    });

    test('a key that no handler of the queue has is a dead letter', async () => {
      const options = own();
      const application = await start([new Handled(options, () => 1, RabbitRPC)]);
      const dead = deadLettered(application);
      channel.sendToQueue(options.queue, Buffer.from('{}'));
      expect((await dead).reason).toBe('no-handler');
    });
  });

  describe('AmqpConnection', () => {
    test('subscribes at run time, pauses and goes on by tag', async () => {
      const application = await start([]);
      const connection = application.get(AmqpConnection);
      const [one, batch, rpc] = [own(), own({ batchOptions: { size: 2, timeout: 20 } }), own()];
      const seen = new Seen<unknown>();
      const { consumerTag } = await connection.createSubscriber(async (payload) => seen.add(payload), one, 'orders');
      await connection.createBatchSubscriber(async (payloads) => seen.add(payloads), batch);
      await connection.createRpc(async (payload) => ({ got: payload }), rpc);
      await publish(application, one, 1);
      expect(await seen.until(1)).toEqual([1]);
      await publish(application, batch, 2);
      expect(await seen.until(2)).toEqual([1, [2]]);
      expect(await connection.request({ exchange: 'shop', routingKey: rpc.routingKey, payload: 3 })).toEqual({
        got: 3,
      });
      expect(connection.consumerTags).toContain(consumerTag);
      await connection.cancelConsumer(consumerTag);
      await publish(application, one, 4);
      expect(seen.all).toHaveLength(2);
      expect(await connection.resumeConsumer(consumerTag)).toBe(consumerTag);
      expect(await connection.resumeConsumer('unknown')).toBeNull();
      await seen.until(3);
    });

    test('has its configuration and state, amqplib’s connection, and says what stands for a channel', async () => {
      const connection = (await start([])).get(AmqpConnection);
      expect([connection.connected, connection.configuration.name]).toEqual([true, 'default']);
      const made = await connection.connection.createChannel();
      await made.close();
      for (const name of ['channel', 'channels', 'managedChannel', 'managedChannels', 'managedConnection'] as const)
        expect(() => connection[name]).toThrow(`AmqpConnection.${name}: channels are this package's own`);
    });

    test('publishes to a queue by its name, with defaults; what would be another message is refused', async () => {
      const application = await start([], { defaultPublishOptions: { headers: { from: 'shop' } } });
      const connection = application.get(AmqpConnection);
      const { queue } = await channel.assertQueue(`queue-${++number}`);
      await connection.publish(
        '',
        queue,
        { a: 1 },
        { messageId: 'm', correlationId: 'c', contentType: 'text/x', priority: 7 },
      );
      const came = await channel.get(queue, { noAck: true });
      expect(came && came.properties).toMatchObject({
        ...{ messageId: 'm', correlationId: 'c', contentType: 'text/x', deliveryMode: 2, priority: 7 },
        headers: { from: 'shop' },
      });
      for (const name of ['CC', 'userId', 'contentEncoding'])
        await expect(connection.publish('shop', 'a', 1, { [name]: 'x' })).rejects.toMatchObject({
          code: 'INVALID_OPTION',
        });
      await expect(connection.publish('shop', '', 1)).rejects.toMatchObject({ option: 'routingKey' });
      const told = ['timestamp', 'type', 'appId', 'mandatory', 'expiration'];
      for (const name of told) await connection.publish('', queue, 1, { [name]: 1 });
      await connection.publish('', queue, 1, { persistent: false, deliveryMode: 1 });
      for (const name of [...told, 'persistent', 'deliveryMode'])
        expect(application.log.lines.join('\n')).toContain(`AmqpConnection.publish: ${name}: `);
    });
  });

  describe('the module', () => {
    test('handlers of controllers are registered with enableControllerDiscovery', async () => {
      const options = own();
      const seen = new Seen<unknown>();
      @Controller()
      class Orders {
        @RabbitSubscribe(options)
        created(payload: unknown): void {
          seen.add(payload);
        }
      }
      const silent = await start([], {}, {}, { controllers: [Orders] });
      expect(silent.messaging.health().consumers).toEqual([]);
      expect(silent.log.lines.join('\n')).toContain('Orders.created: enableControllerDiscovery: not registered');
      await silent.close();
      const application = await start([], { enableControllerDiscovery: true }, {}, { controllers: [Orders] });
      await publish(application, options, 1);
      expect(await seen.until(1)).toEqual([1]);
    });

    test('a class that is a provider and a controller handles once, and one that is provided twice as well, told', async () => {
      const handled = new Handled(own());
      Controller()(handled.provider);
      const more = { controllers: [handled.provider] };
      const application = await start([handled], { enableControllerDiscovery: true }, {}, more);
      expect(application.messaging.health().consumers).toHaveLength(1);
      expect(application.log.lines.join('\n')).not.toContain('several instances');
      await application.close();
      @Module({ providers: [handled.provider] })
      class Other {}
      const twice = await start([handled], {}, {}, { imports: [Other] });
      expect(twice.messaging.health().consumers).toHaveLength(1);
      expect(twice.log.lines.join('\n')).toContain('Orders.taken: several instances: the first handles');
    });

    test('handlers, by name and by default, with arrays; one that is missing is not registered', async () => {
      const [one, two] = [own(), own()];
      const handled = new Handled({ name: 'orders' });
      const missing = new Handled({ name: 'missing' });
      const application = await start([handled, missing], { handlers: { orders: [one, two] } });
      await publish(application, one, 1);
      await publish(application, two, 2);
      expect((await handled.until(2)).map(({ payload }) => payload).sort()).toEqual([1, 2]);
      expect(application.log.lines.join('\n')).toContain('name «missing»: not registered');
      const byDefault = new Handled({});
      const other = await start([byDefault], { handlers: { all: own() }, defaultHandler: 'all' });
      expect(other.messaging.health().consumers).toHaveLength(1);
    });

    test('several connections, each with the handlers that name it, and those that name none', async () => {
      const [first, second, both] = [own({ connection: 'default' }), own({ connection: 'second' }), own()];
      const handled = [first, second, both].map((options) => new Handled(options));
      const application = await start(
        handled,
        {},
        {},
        {
          imports: [
            GolevelupCompatModule.forRoot(
              { uri: url, name: 'second', exchanges: [{ name: 'shop' }] },
              { service: 'shop' },
            ),
          ],
        },
      );
      const consumed = (messaging: Messaging): string[] => messaging.health().consumers.map(({ queue }) => queue);
      expect(consumed(application.messaging)).toEqual([first.queue, both.queue]);
      expect(consumed(application.app.get(getMessagingToken('second')))).toEqual([second.queue, both.queue]);
      for (const options of [first, second]) await publish(application, options);
      await Promise.all([handled[0].until(1), handled[1].until(1)]);
    });

    test('prefetchCount, of the module and of channels', async () => {
      const options = [own(), own({ queueOptions: { channel: 'slow' } }), own({ queueOptions: { channel: 'gone' } })];
      const application = await start(
        options.map((one) => new Handled(one)),
        {
          prefetchCount: 7,
          channels: { slow: { prefetchCount: 2 }, usual: { default: true, prefetchCount: 15 } },
        },
      );
      const prefetch = application.messaging.subscriptionSummaries().map((one: any) => one.prefetch);
      expect(prefetch).toEqual([15, 2, 15]);
      expect(application.log.lines.join('\n')).toContain('queueOptions.channel «gone»: not among «channels»');
    });

    test('registerHandlers: false consumes nothing; enableDirectReplyTo: false registers no RPC', async () => {
      const options = own();
      const application = await start([new Handled(options)], { registerHandlers: false });
      expect(application.messaging.health().consumers).toEqual([]);
      const rpc = new Handled(own(), () => 1, RabbitRPC);
      const other = await start([rpc], { enableDirectReplyTo: false });
      expect(other.messaging.health().consumers).toEqual([]);
      await expect(other.get(AmqpConnection).request({ exchange: 'shop', routingKey: 'a' })).rejects.toMatchObject({
        code: 'UNSUPPORTED',
      });
    });
  });
});
