import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import type { Outgoing } from '../../lib/transport/outgoing.js';
import { describeRabbit, describeRabbitNode } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Client, message, outgoing, topologyOf, toQueue, toRoute } from './client.js';
import { beforeEachPeers } from './peers.js';

describeRabbit('publishing', (rabbit) => {
  let url: string;
  let channel: Channel;
  let client: Client;

  beforeEachPeers(rabbit, (peers) => ({ url, channel, client } = peers));

  it('is read by a plain client with AMQP properties and the body as it is', async () => {
    await client.transport.declare(topologyOf('plain'));
    const properties = {
      contentType: 'application/json',
      contentEncoding: 'gzip',
      correlationId: 'c',
      replyTo: 'r',
      appId: 'a',
      timestamp: 12,
      priority: 3,
    };
    const [result] = await client.publish(toRoute('plain', 'm1', { properties, headers: { tenant: 'x' } }));
    expect(result.status).toBe('confirmed');
    const received = await channel.get('tests:plain:queue', { noAck: true });
    expect(received).toMatchObject({
      fields: { exchange: 'events', routingKey: 'plain' },
      properties: { ...properties, messageId: 'm1', type: 'plain', deliveryMode: 2, headers: { tenant: 'x' } },
    });
    expect(received && received.content.toString()).toBe('{"id":"m1"}');
  });

  it('tells which of many messages nobody takes', async () => {
    await client.transport.declare(topologyOf('taken'));
    const batch = Array.from({ length: 60 }, (_, n) => toRoute(n % 7 === 3 ? 'untaken' : 'taken', 'same-id'));
    const statuses = (await client.publish(...batch)).map(({ status }) => status);
    expect(statuses).toEqual(batch.map((_, n) => (n % 7 === 3 ? 'unroutable' : 'confirmed')));
  });

  it('keeps the order of a batch that begins on exchanges nobody has declared yet', async () => {
    await channel.assertQueue('ordered', { durable: true });
    await channel.assertExchange('first', 'topic');
    await channel.assertExchange('second', 'topic');
    await channel.bindQueue('ordered', 'first', '#');
    await channel.bindQueue('ordered', 'second', '#');
    const batch = Array.from({ length: 40 }, (_, n) =>
      outgoing({ kind: 'route', topic: n % 2 ? 'first' : 'second', route: 'r' }, message(String(n))),
    );
    await client.publish(...batch);
    for (let n = 0; n < 40; n++) {
      const got = await channel.get('ordered', { noAck: true });
      expect(got && got.properties.messageId).toBe(String(n));
    }
  });

  it('comes back when its exchange is deleted under it: fails, declares it again with its bindings, is confirmed', async () => {
    const topology = topologyOf('gone', { topic: 'deleted' });
    const consumer = await client.consume(topology);
    const one = outgoing({ kind: 'route', topic: 'deleted', route: 'gone' }, message('1'));
    expect((await client.publish(one))[0].status).toBe('confirmed');
    await channel.deleteExchange('deleted');
    const [first] = await client.publish(one);
    expect(first).toMatchObject({ status: 'failed', error: { code: 'PUBLISH_FAILED' } });
    await waitFor(() => client.count('connected') === 2, 'a new channel');
    expect((await client.publish(one))[0].status).toBe('confirmed');
    await consumer.received(2);
    expect(consumer.states).toEqual([{ consuming: true, reason: undefined }]);
  });

  it('what nobody takes is not given up just after its exchange came back: others may still bind', async () => {
    const one = outgoing({ kind: 'route', topic: 'of-others', route: 'r' }, message('1'));
    await client.insist({ ...one, mandatory: false });
    expect((await client.publish(one))[0].status).toBe('unroutable');
    await channel.deleteExchange('of-others');
    expect((await client.publish(one))[0].status).toBe('failed');
    await waitFor(() => client.count('connected') === 2, 'a new channel');
    expect((await client.publish(one))[0]).toMatchObject({ status: 'failed', error: { code: 'PUBLISH_FAILED' } });
    await channel.assertQueue('late');
    await channel.bindQueue('late', 'of-others', 'r');
    expect((await client.publish(one))[0].status).toBe('confirmed');
  });

  it('uses an exchange that somebody declared with another type, and says so', async () => {
    await channel.assertExchange('legacy', 'fanout', { durable: false });
    await channel.assertQueue('legacy-queue');
    await channel.bindQueue('legacy-queue', 'legacy', '');
    const [result] = await client.publish(outgoing({ kind: 'route', topic: 'legacy', route: 'any' }, message('1')));
    expect(result.status).toBe('confirmed');
    expect(client.warnings().join()).toContain('«legacy»');
  });

  it('a full queue that rejects is a passing failure, and the message goes when there is room', async () => {
    const topology = topologyOf('full', {
      native: { queueType: 'classic', arguments: { 'x-max-length': 2, 'x-overflow': 'reject-publish' } },
    });
    await client.transport.declare(topology);
    const results = await client.publish(...['1', '2', '3', '4', '5', '6', '7'].map((id) => toRoute('full', id)));
    expect(results.map(({ status }) => status)).toEqual([
      'confirmed',
      'confirmed',
      'failed',
      'failed',
      'failed',
      'failed',
      'failed',
    ]);
    await channel.purgeQueue(topology.queue);
    await client.insist(toRoute('full', '8'));
    // Three nacks in a row: the channel was replaced, in case it was the channel's fault.
    expect([client.count('disconnected'), client.count('connected')]).toEqual([1, 2]);
  });

  it.each([
    ['headers over 64 KiB', { headers: { big: 'x'.repeat(70_000) } }, 'MESSAGE_TOO_LARGE'],
    ['a header no type of AMQP can hold', { headers: { bad: (() => 1) as never } }, 'SERIALIZATION'],
    ['a header that contains itself', { headers: cyclic() as never }, 'SERIALIZATION'],
    ['a header name over 255 bytes', { headers: { ['x'.repeat(300)]: 1 } }, 'SERIALIZATION'],
    ['a correlation id over 255 bytes', { properties: { correlationId: 'x'.repeat(300) } }, 'SERIALIZATION'],
    ['a priority that is not a number', { properties: { priority: 'high' as never } }, 'SERIALIZATION'],
    ['CC, which would deliver to other queues', { headers: { CC: ['other'] } }, 'PUBLISH_REFUSED'],
    ['BCC, which would deliver to other queues', { headers: { BCC: ['other'] } }, 'PUBLISH_REFUSED'],
  ])('refuses %s, and the messages around it go', async (_, bad, code) => {
    await client.transport.declare(topologyOf('around'));
    const [before, refused, after] = await client.publish(
      toRoute('around', '1'),
      toRoute('around', '2', bad),
      toRoute('around', '3'),
    );
    expect([before.status, after.status]).toEqual(['confirmed', 'confirmed']);
    expect(refused).toMatchObject({ status: 'refused', error: { code, retryable: false } });
    expect(client.count('disconnected')).toBe(0);
  });

  it('refuses a route over 255 bytes', async () => {
    const [result] = await client.publish(toRoute('x'.repeat(300), '1'));
    expect(result).toMatchObject({ status: 'refused', error: { code: 'SERIALIZATION' } });
  });

  it('refuses what the user may not publish, and tells neither user nor password', async () => {
    if (!rabbit.node) return;
    const restricted = await restrictedUrl(url, rabbit.node);
    const other = await Client.connect(restricted);
    await channel.assertExchange('forbidden', 'topic');
    const results = await other.publish(
      toQueue('amq.default-missing', '0'),
      outgoing({ kind: 'route', topic: 'forbidden', route: 'r' }, message('1')),
      toQueue('amq.default-missing', '2'),
    );
    expect(results[1]).toMatchObject({ status: 'refused', error: { code: 'PUBLISH_REFUSED' } });
    expect(String((results[1] as { error: Error }).error.message)).not.toMatch(/restricted|planted-password/);
    await other.close();
  });

  it('a dead letter beside 60 KiB of foreign headers goes, with less about its error', async () => {
    await client.transport.declare(topologyOf('crowded'));
    const foreign = { big: 'x'.repeat(60_000) };
    const error = {
      'messaging-reason': 'attempts',
      'messaging-error-class': 'Error',
      'messaging-error-message': 'm'.repeat(8_000),
      'messaging-error-stack': 's'.repeat(30_000),
    };
    const letter = outgoing(
      { kind: 'dead-letter', route: 'tests:crowded:dlq' },
      message('1', { headers: { ...foreign, ...error } }),
    );
    expect((await client.publish(letter))[0].status).toBe('confirmed');
    const received = await channel.get('tests:crowded:dlq', { noAck: true });
    const headers = (received && received.properties.headers) as Record<string, unknown>;
    expect(headers).toMatchObject({ ...foreign, 'messaging-reason': 'attempts', 'messaging-error-class': 'Error' });
    expect(String(headers['messaging-error-message'])).toMatch(/^m{64,}$/);
  });
});

describeRabbit('publishing on a connection with small frames', (rabbit) => {
  let plain: ChannelModel;
  let channel: Channel;
  let client: Client;

  beforeEach(async () => {
    const url = new URL(await rabbit.freshVhostUrl());
    url.searchParams.set('frameMax', '8192');
    client = await Client.connect(url.href);
    plain = await connect(url.href);
    channel = await plain.createChannel();
  });
  afterEach(async () => {
    await client.close();
    await plain.close();
  });

  it('refuses headers that do not fit into one, and the messages around it go on the same connection', async () => {
    await client.transport.declare(topologyOf('small'));
    const [before, large, close, after] = await client.publish(
      toRoute('small', '1'),
      toRoute('small', '2', { headers: { token: 'x'.repeat(20_000) } }),
      toRoute('small', '3', { headers: { token: 'x'.repeat(8_000) } }),
      toRoute('small', '4', { headers: { token: 'x'.repeat(5_900) } }),
    );
    expect([before.status, after.status]).toEqual(['confirmed', 'confirmed']);
    for (const refused of [large, close])
      expect(refused).toMatchObject({
        status: 'refused',
        error: { code: 'MESSAGE_TOO_LARGE', message: expect.stringContaining('frame_max 8192') },
      });
    expect(client.count('disconnected')).toBe(0);
  });

  it('takes a copy up to the last byte of a frame, and not one more', async () => {
    await client.transport.declare(topologyOf('exact'));
    const sizes = Array.from({ length: 60 }, (_, n) => 8_100 + n);
    const results = await client.publish(
      ...sizes.map((size) => toQueue('tests:exact:queue', `${size}`, { headers: { token: 'x'.repeat(size) } })),
    );
    const largest = results.findIndex(({ status }) => status === 'refused') - 1;
    expect(largest).toBeGreaterThan(0);
    expect(results.map(({ status }) => status === 'confirmed')).toEqual(sizes.map((_, n) => n <= largest));
    expect(client.count('disconnected')).toBe(0);
  });

  it('shortens what a dead letter says about its error until it fits', async () => {
    await client.transport.declare(topologyOf('trimmed'));
    const error = {
      'messaging-reason': 'attempts-exhausted',
      'messaging-error-class': 'Error',
      'messaging-error-message': 'm'.repeat(1_024),
      'messaging-error-stack': 's'.repeat(8_192),
    };
    const letter = (size: number): Outgoing =>
      outgoing(
        { kind: 'dead-letter', route: 'tests:trimmed:dlq' },
        message('1', { headers: { tenant: 'x'.repeat(size), ...error } }),
      );
    expect((await client.publish(letter(10), letter(7_600))).map(({ status }) => status)).toEqual([
      'confirmed',
      'confirmed',
    ]);
    for (const size of [10, 7_600]) {
      const got = await channel.get('tests:trimmed:dlq', { noAck: true });
      const headers = (got && got.properties.headers) as Record<string, string>;
      expect(headers).toMatchObject({ tenant: 'x'.repeat(size), 'messaging-reason': 'attempts-exhausted' });
      expect(headers['messaging-error-message']).toMatch(/^m{64,}$/);
    }
    expect(client.count('disconnected')).toBe(0);
  });
});

describeRabbitNode('publishing, message refused by the broker', (rabbit) => {
  it('isolates the one that is over the broker’s size; what was in flight with it can be sent again', async () => {
    const node = await rabbit.start();
    await node.eval(
      'application:set_env(rabbit, max_message_size, 100000), persistent_term:put(max_message_size, 100000)',
    );
    const client = await Client.connect(node.url());
    await client.transport.declare(topologyOf('size'));
    const big = { body: Buffer.alloc(300_000) };
    const batch = Array.from({ length: 50 }, (_, n) => toRoute('size', String(n), n === 20 || n === 30 ? big : {}));
    const results = await client.publish(...batch);
    for (const n of [20, 30])
      expect(results[n]).toMatchObject({ status: 'refused', error: { code: 'MESSAGE_TOO_LARGE' } });
    expect(results.filter(({ status }) => status === 'refused')).toHaveLength(2);
    for (const [n, { status }] of results.entries()) if (status === 'failed') await client.insist(batch[n]);
    const consumer = await client.consume(topologyOf('size'));
    // What failed may have been stored all the same.
    await waitFor(() => new Set(consumer.ids).size === 48, 'all but the two');
    await client.close();
  }, 60_000);
});

function cyclic(): object {
  const table: Record<string, unknown> = {};
  table.itself = table;
  return table;
}

async function restrictedUrl(url: string, node: { eval(code: string): Promise<string> }): Promise<string> {
  const target = new URL(url);
  const vhost = decodeURIComponent(target.pathname.slice(1)) || '/';
  await node.eval(`begin
    rabbit_auth_backend_internal:add_user(<<"restricted">>, <<"planted-password">>, <<"test">>),
    rabbit_auth_backend_internal:set_permissions(<<"restricted">>, <<"${vhost}">>, <<"^$">>, <<"^amq.default$">>, <<".*">>, <<"test">>) end`);
  target.username = 'restricted';
  target.password = 'planted-password';
  return target.href;
}
