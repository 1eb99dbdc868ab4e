import { expect, it } from '@jest/globals';
import type { Channel } from 'amqplib';
import { BrokerConfigurationError, TopologyMismatchError } from '../../lib/errors/configuration-errors.js';
import type { Delivery } from '../../lib/transport/delivery.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { Proxy } from '../brokers/proxy.js';
import { waitFor } from '../brokers/wait-for.js';
import { Client, message, outgoing, topologyOf, toRoute } from './client.js';
import { beforeEachPeers } from './peers.js';

describeRabbit('consuming', (rabbit) => {
  let url: string;
  let channel: Channel;
  let client: Client;

  beforeEachPeers(rabbit, (peers) => ({ url, channel, client } = peers));

  it.each(['quorum', 'classic'] as const)(
    'a %s queue keeps a message that is given back 200 times',
    async (queueType) => {
      const consumer = await client.consume(topologyOf(`back-${queueType}`, { native: { queueType } }), {
        on: (delivery) => (consumer.deliveries.length > 200 ? delivery.ack() : delivery.release()),
      });
      await client.insist(toRoute(`back-${queueType}`, '1'));
      await consumer.received(201);
      expect(consumer.deliveries[0].deliveryCount).toBe(queueType === 'quorum' ? 0 : undefined);
      expect(consumer.deliveries[200].deliveryCount).toBe(queueType === 'quorum' ? 200 : undefined);
      expect(Object.keys(consumer.deliveries[200].message.headers)).toEqual([]);
      await waitFor(async () => (await channel.checkQueue(`tests:back-${queueType}:queue`)).messageCount === 0);
      expect((await channel.checkQueue(`tests:back-${queueType}:dlq`)).messageCount).toBe(0);
    },
  );

  it('a quorum queue counts what was given back, and not from a count that came with the message', async () => {
    const consumer = await client.consume(topologyOf('moved', { native: { queueType: 'quorum' } }), {
      on: (delivery) => (consumer.deliveries.length === 3 ? delivery.ack() : delivery.release()),
    });
    const headers = { 'x-delivery-count': 7, 'x-acquired-count': 9, own: 1 };
    channel.publish('', 'tests:moved:queue', Buffer.from('{}'), { headers });
    await consumer.received(3);
    expect(consumer.deliveries.map(({ deliveryCount }) => deliveryCount)).toEqual([0, 1, 2]);
    expect(consumer.deliveries.map(({ message: one }) => one.headers)).toEqual(Array(3).fill({ own: 1 }));
  });

  it('acks that wait for others are written with half of the prefetch, and before the transport is closed', async () => {
    const name = 'ack-wait';
    const consuming = await Client.connect(url);
    const consumer = await consuming.consume(topologyOf(name), { prefetch: 4, ackDelayMs: 3_600_000 });
    for (let n = 0; n < 21; n++) await client.insist(toRoute(name, `${n}`));
    await consumer.received(21);
    await consuming.close();
    expect(consumer.lostOnes).toEqual([]);
    expect((await channel.checkQueue(`tests:${name}:queue`)).messageCount).toBe(0);
  });

  const onNode = rabbit.node ? it : it.skip;

  /** Those above a message that is held leave one by one: of more than thirty-two docs/receive.md promises less. */
  const many = [
    ['a hundred acks', 100, 0],
    ['thirty-two acks above a message that is still held', 33, 1],
  ] as const;

  for (const [what, count, still] of many)
    onNode(`${what}, said to be taken, are, however slow their queue is when the connection breaks then`, async () => {
      const proxy = await Proxy.start(url);
      const broken = await Client.connect(proxy.url(url));
      const held: Delivery[] = [];
      const name = `taken-${count}`;
      const consumer = await broken.consume(topologyOf(name, { native: { queueType: 'quorum' } }), {
        prefetch: 100,
        on: (delivery) => void (held.length < count ? held.push(delivery) : delivery.ack()),
      });
      await client.publish(...Array.from({ length: count }, (_, n) => toRoute(name, String(n))));
      await waitFor(() => held.length === count, 'all deliveries');
      const hang = (on: boolean): Promise<void> =>
        rabbit.node!.hangQueue(decodeURIComponent(new URL(url).pathname.slice(1)), `tests:${name}:queue`, on);
      await hang(true);
      const answers = await Promise.all(held.slice(still).map((delivery) => delivery.ackConfirmed!()));
      expect(new Set(answers)).toEqual(new Set([true]));
      const lost = broken.count('disconnected');
      proxy.reset();
      await waitFor(() => broken.count('disconnected') > lost, 'the end of the connection');
      await hang(false);
      await client.insist(toRoute(name, 'last'));
      await waitFor(() => consumer.ids.includes('last'), 'the last');
      const again = consumer.ids.slice(count).filter((id) => id !== 'last');
      expect(again).toEqual(consumer.ids.slice(0, still));
      await broken.close();
      await proxy.close();
    });

  it.each(['quorum', 'classic'] as const)(
    'what a plain client rejects from a %s queue comes to its dead-letter queue',
    async (queueType) => {
      const name = `rejected-${queueType}`;
      await client.transport.declare(topologyOf(name, { native: { queueType } }));
      await client.insist(toRoute(name, '1', { body: Buffer.from([0, 255, 128]), headers: { tenant: 'x' } }));
      const got = await channel.get(`tests:${name}:queue`);
      if (got) channel.nack(got, false, false);
      await waitFor(async () => (await client.transport.queues.depth(`tests:${name}:dlq`)) === 1, 'the dead letter');
      const browser = await client.transport.queues.browse(`tests:${name}:dlq`);
      const letter = await browser.next();
      expect(letter?.message).toMatchObject({ id: '1', route: name, headers: { tenant: 'x' } });
      expect(letter?.message.headers).toEqual({
        tenant: 'x',
        'messaging-reason': 'broker: rejected',
        'messaging-error-message': `The broker took it out of «tests:${name}:queue» (rejected)`,
        'messaging-origin-queue': `tests:${name}:queue`,
        'messaging-origin-topic': 'events',
        'messaging-origin-route': name,
        'messaging-origin-time': expect.any(Number),
      });
      expect([...(letter?.message.body ?? [])]).toEqual([0, 255, 128]);
      expect(letter?.direct).toBe(false);
      await browser.close();
    },
  );

  it('two subscriptions share a dead-letter queue', async () => {
    const deadLetter = { queue: 'tests:shared:dlq', route: 'tests:shared:dlq' };
    await client.transport.declare(topologyOf('share-a', { deadLetter }));
    await client.transport.declare(topologyOf('share-b', { deadLetter: { ...deadLetter, route: 'tests:other:dlq' } }));
    await client.insist(outgoing({ kind: 'dead-letter', route: 'tests:shared:dlq' }, message('1')));
    await client.insist(outgoing({ kind: 'dead-letter', route: 'tests:other:dlq' }, message('2')));
    expect(await client.transport.queues.depth('tests:shared:dlq')).toBe(2);
  });

  it.each([
    [
      'a classic queue where a quorum queue is wanted',
      { 'x-queue-type': 'classic' },
      undefined,
      /«x-(queue-type|delivery-limit)»: wanted .+, found (none|«classic»)/,
    ],
    [
      'a queue without our dead-letter exchange',
      { 'x-queue-type': 'quorum', 'x-delivery-limit': 1_000_000 },
      topologyOf('').deadLetter,
      /«x-dead-letter-exchange»: wanted «events\.dlx», found none/,
    ],
  ])('%s: boot says queue, argument, wanted, found and a remedy', async (name, args, deadLetter, said) => {
    const queue = `foreign ${name}`;
    await channel.assertQueue(queue, { arguments: args });
    const topology = topologyOf('foreign', { queue, deadLetter });
    const error: unknown = await client.transport.declare(topology).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(TopologyMismatchError);
    expect((error as Error).message).toContain(`The queue «${queue}» exists`);
    expect((error as Error).message).toMatch(said);
    expect((error as Error).message).toContain('delete the queue');
    await expect(client.transport.subscribe({ topology, prefetch: 1 }, none)).rejects.toBeInstanceOf(
      TopologyMismatchError,
    );
    await channel.deleteQueue(queue);
  });

  it('a message of a plain client without id, type or headers arrives', async () => {
    const consumer = await client.consume(topologyOf('bare'));
    channel.publish('events', 'bare', Buffer.from('x'));
    await consumer.received(1);
    const [{ message: bare, direct, topic }] = consumer.deliveries;
    expect({ ...bare, body: String(bare.body) }).toEqual({
      id: '',
      route: 'bare',
      body: 'x',
      headers: {},
      properties: {},
    });
    expect({ direct, topic }).toEqual({ direct: false, topic: 'events' });
  });

  it('copies of a foreign message deliver to nobody else, never expire and are not refused for their user', async () => {
    const consumer = await client.consume(topologyOf('copied'));
    await channel.assertQueue('bystander');
    channel.publish('events', 'copied', Buffer.from('x'), {
      userId: 'guest',
      expiration: '600000',
      CC: ['cc.key'],
      BCC: ['bcc.key'],
      type: 'Foreign',
      messageId: 'f',
      headers: { own: 1 },
    });
    await consumer.received(1);
    const { message: foreign } = consumer.deliveries[0];
    expect(foreign.headers).toEqual({
      own: 1,
      'messaging-origin-user-id': 'guest',
      'messaging-origin-expiration': '600000',
      'messaging-origin-cc': ['cc.key'],
    });
    expect(foreign).toMatchObject({ route: 'copied', properties: { type: 'Foreign' } });
    await client.transport.declare(topologyOf('copies'));
    await client.insist(outgoing({ kind: 'queue', queue: 'tests:copies:queue' }, foreign));
    const copy = await channel.get('tests:copies:queue', { noAck: true });
    expect(copy && copy.properties).toMatchObject({
      userId: undefined,
      expiration: undefined,
      type: 'Foreign',
      headers: { 'messaging-origin-route': 'copied' },
    });
    expect(copy && copy.properties.headers?.CC).toBeUndefined();
  });

  it('foreign header types survive decode and encode', async () => {
    const headers = {
      string: 'ä€𝄞', integer: 7, negative: -300, big: 2 ** 40, double: 1.5, yes: true, nothing: null,
      bytes: Buffer.from([0, 1, 255]), list: [1, 'two', [3], null], table: { deep: { deeper: 'x' }, list: [{ a: 1 }] },
      timestamp: { '!': 'timestamp', value: 1_700_000_000 }, decimal: { '!': 'decimal', value: { places: 2, digits: 12_345 } },
    }; // prettier-ignore
    const consumer = await client.consume(topologyOf('types'));
    channel.publish('events', 'types', Buffer.alloc(0), { headers });
    await consumer.received(1);
    await client.transport.declare(topologyOf('types-copy'));
    await client.insist(
      outgoing(
        { kind: 'queue', queue: 'tests:types-copy:queue' },
        { ...consumer.deliveries[0].message, route: 'tests:types-copy:queue' },
      ),
    );
    const copy = await channel.get('tests:types-copy:queue', { noAck: true });
    expect(copy && copy.properties.headers).toMatchObject(headers);
  });

  it('headers that amqplib alone could not write again survive a copy, and the timestamp is a Date', async () => {
    const consumer = await client.consume(topologyOf('odd'));
    const double = (value: number): object => ({ '!': 'double', value });
    const written = {
      fraction: double(2 ** 50 + 0.5),
      lowest: double(-(2 ** 64)),
      marked: Object.create({ '!': 'x' }) as object,
      far: { '!': 'timestamp', value: 2 ** 63 },
    };
    channel.publish('events', 'odd', Buffer.alloc(0), {
      headers: { ...written, when: { '!': 'timestamp', value: 5 } },
      timestamp: 2 ** 63,
    });
    await consumer.received(1);
    const { message: foreign } = consumer.deliveries[0];
    const read = { fraction: 2 ** 50 + 0.5, lowest: -(2 ** 64), marked: { '!': 'x' }, far: written.far };
    expect(foreign.headers).toEqual({ ...read, when: new Date(5_000) });
    await client.transport.declare(topologyOf('odd-copy'));
    await client.insist(outgoing({ kind: 'queue', queue: 'tests:odd-copy:queue' }, foreign));
    const copy = await channel.get('tests:odd-copy:queue', { noAck: true });
    expect(copy && copy.properties.headers).toMatchObject({ ...read, when: { '!': 'timestamp', value: 5 } });
  });

  it('dates and byte arrays of ours become AMQP timestamps and bytes', async () => {
    await client.transport.declare(topologyOf('dates'));
    await client.insist(
      toRoute('dates', '1', {
        headers: { at: new Date(1_700_000_000_000), bytes: new Uint8Array([1, 2]), deep: { at: [new Date(0)] } },
      }),
    );
    const got = await channel.get('tests:dates:queue', { noAck: true });
    expect(got && got.properties.headers).toMatchObject({
      at: { '!': 'timestamp', value: 1_700_000_000 },
      bytes: Buffer.from([1, 2]),
      deep: { at: [{ '!': 'timestamp', value: 0 }] },
    });
  });

  it('single active consumer: the second takes over when the first stops', async () => {
    const topology = topologyOf('single', { native: { singleActiveConsumer: true } });
    const [first, second] = [await client.consume(topology), await client.consume(topology)];
    await client.insist(toRoute('single', '1'));
    await first.received(1);
    await first.subscription.stop();
    await client.insist(toRoute('single', '2'));
    await second.received(1);
    expect([first.ids, second.ids]).toEqual([['1'], ['2']]);
  });

  it('a queue deleted with deliveries under way: they are lost, settling them does nothing, the queue comes back', async () => {
    const consumer = await client.consume(topologyOf('deleted'), { on: () => {} });
    await client.insist(toRoute('deleted', '1'));
    await consumer.received(1);
    await channel.deleteQueue('tests:deleted:queue');
    await waitFor(() => consumer.lostOnes.length === 1, 'lost');
    consumer.deliveries[0].ack();
    consumer.deliveries[0].release();
    await waitFor(() => consumer.subscription.consuming, 'consuming again');
    await client.insist(toRoute('deleted', '2'));
    await consumer.received(2);
    expect(consumer.states[0].consuming).toBe(true);
    expect(consumer.states.slice(1, -1).map(({ consuming }) => consuming)).not.toContain(true);
    expect(client.count('disconnected')).toBe(0);
  });

  it('a channel that the broker closes (delivery not acknowledged in time) is replaced, others go on', async () => {
    const consumer = await client.consume(topologyOf('ack-timeout'), { on: () => {} });
    const other = await client.consume(topologyOf('undisturbed'));
    await client.insist(toRoute('ack-timeout', '1'));
    await consumer.received(1);
    // A second ack of one delivery is what the broker closes a channel for, as for a late one.
    const raw = consumer.deliveries[0].raw as never;
    const consuming = client.transport.native().consuming as never as {
      connection: { channels: { channel: Channel }[] };
    };
    for (const entry of consuming.connection.channels.slice(1))
      entry?.channel.ack?.({
        ...(raw as object),
        fields: { ...(raw as { fields: object }).fields, deliveryTag: 999 },
      } as never);
    await consumer.received(2);
    expect(consumer.lostOnes).toHaveLength(1);
    await waitFor(() => other.subscription.consuming, 'the other consuming');
    await client.insist(toRoute('undisturbed', '2'));
    await other.received(1);
  });

  it('a queue that cannot be written in AMQP, or not be read by this user, is a misconfiguration', async () => {
    const topology = topologyOf('x', { queue: 'x'.repeat(300) });
    await expect(client.transport.declare(topology)).rejects.toBeInstanceOf(TopologyMismatchError);
    if (!rabbit.node) return;
    await channel.assertQueue('unreadable');
    const target = new URL(url);
    const vhost = decodeURIComponent(target.pathname.slice(1));
    await rabbit.node.eval(`begin
      rabbit_auth_backend_internal:add_user(<<"writer">>, <<"planted-password">>, <<"test">>),
      rabbit_auth_backend_internal:set_permissions(<<"writer">>, <<"${vhost}">>, <<"^$">>, <<".*">>, <<"^$">>, <<"test">>) end`);
    target.username = 'writer';
    target.password = 'planted-password';
    const writer = await Client.connect(target.href, { environment: { provision: false } });
    const unreadable = topologyOf('x', { queue: 'unreadable', deadLetter: undefined });
    const error: unknown = await writer.transport
      .subscribe({ topology: unreadable, prefetch: 1 }, none)
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BrokerConfigurationError);
    expect((error as Error).message).toContain('«unreadable»');
    expect((error as Error).message).not.toMatch(/writer|planted/);
    await writer.close();
  });

  it('depth of a queue that does not exist is undefined and disturbs nobody', async () => {
    const consumer = await client.consume(topologyOf('calm'));
    expect(await client.transport.queues.depth('no such queue')).toBeUndefined();
    await client.insist(toRoute('calm', '1'));
    await consumer.received(1);
    expect(consumer.states).toEqual([{ consuming: true, reason: undefined }]);
  });
});

const none = { delivery: () => {}, lost: () => {}, state: () => {} };
