import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import type { Topology } from '../../lib/transport/topology.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Client, outgoing, message, topologyOf, toRoute, type ClientOptions } from './client.js';

const QUEUE = 'tests:billing:queue';
const OLD = topologyOf('billing', { patterns: ['invoice.created', 'invoice.*'] });
const NEW = topologyOf('billing', { patterns: ['invoice.paid'] });

describeRabbit('what an earlier version of a service has bound', (rabbit) => {
  let url: string;
  let plain: ChannelModel;
  let channel: Channel;

  // What is left behind by one test would be found by the next.
  beforeEach(async () => {
    url = await rabbit.freshVhostUrl();
    plain = await connect(url);
    channel = await plain.createChannel();
  }, 60_000);
  afterEach(() => plain.close());

  const deployed = async (topology: Topology, options?: ClientOptions): Promise<Client> => {
    const client = await Client.connect(url, options);
    await client.transport.declare(topology);
    return client;
  };
  const outcomes = async (client: Client, ...routes: string[]): Promise<string[]> =>
    (await client.publish(...routes.map((route) => toRoute(route, route)))).map(({ status }) => status);

  it('is unbound when the route changed, which the log tells, and what the queue has stays', async () => {
    const one = await deployed(OLD);
    expect(await outcomes(one, 'invoice.created')).toEqual(['confirmed']);
    await one.close();
    const two = await deployed(NEW);
    expect(await outcomes(two, 'invoice.created', 'invoice.sent', 'invoice.paid')).toEqual([
      'unroutable',
      'unroutable',
      'confirmed',
    ]);
    expect(await two.transport.queues.depth(QUEUE)).toBe(2);
    expect(two.warnings()).toEqual([
      expect.stringContaining(`Unbound «${QUEUE}» from «events» by «invoice.created»`),
      expect.stringContaining(`Unbound «${QUEUE}» from «events» by «invoice.*»`),
    ]);
    await two.close();
  });

  it('is bound again by going back, and once it is unbound nothing more is said', async () => {
    for (const topology of [OLD, NEW, OLD]) await (await deployed(topology)).close();
    const last = await deployed(NEW);
    expect(await outcomes(last, 'invoice.created', 'invoice.paid')).toEqual(['unroutable', 'confirmed']);
    await last.close();
    const again = await deployed(NEW);
    expect(again.warnings()).toEqual([]);
    await again.close();
  });

  it('stays bound, with the command to end it, while another process consumes the queue', async () => {
    const old = await deployed(OLD);
    const consumer = await old.consume(OLD);
    const two = await deployed(NEW);
    expect(two.warnings()).toHaveLength(2);
    expect(two.warnings()[0]).toContain(`«${QUEUE}» is still bound to «events» by «invoice.created»`);
    expect(two.warnings()[0]).toContain(
      `rabbitmqadmin delete binding source='events' destination_type=queue destination='${QUEUE}' properties_key='invoice.created'`,
    );
    expect(await outcomes(two, 'invoice.created')).toEqual(['confirmed']);
    await consumer.received(1);
    await Promise.all([old.close(), two.close()]);
    const three = await deployed(NEW);
    expect(await outcomes(three, 'invoice.created', 'invoice.paid')).toEqual(['unroutable', 'confirmed']);
    await three.close();
  });

  it('is unbound from another exchange, when the topic changed', async () => {
    await (await deployed({ ...OLD, topic: 'elsewhere' })).close();
    const two = await deployed(OLD);
    channel.publish('elsewhere', 'invoice.created', Buffer.from('{}'));
    expect(await outcomes(two, 'invoice.created')).toEqual(['confirmed']);
    expect((await channel.get(QUEUE, { noAck: true })) && (await channel.get(QUEUE))).toBe(false);
    await two.close();
  });

  it('a renamed dead-letter queue is unbound at once, keeps its dead letters, and they come once', async () => {
    const deadLetter = (queue: string): Topology =>
      topologyOf('billing', { deadLetter: { queue, route: 'tests:dead' } });
    const dead = (id: string) => outgoing({ kind: 'dead-letter', route: 'tests:dead' }, message(id));
    const old = await deployed(deadLetter('tests:old.dlq'));
    await old.consume(deadLetter('tests:old.dlq'));
    expect((await old.publish(dead('1')))[0].status).toBe('confirmed');
    const two = await deployed(deadLetter('tests:new.dlq'));
    expect(two.warnings()).toEqual([
      expect.stringMatching(
        /Unbound «tests:old.dlq» .*go to «tests:new.dlq».* holds 1 messages .*--queue 'tests:old.dlq'/,
      ),
    ]);
    await two.publish(dead('2'));
    expect([
      await two.transport.queues.depth('tests:old.dlq'),
      await two.transport.queues.depth('tests:new.dlq'),
    ]).toEqual([1, 1]);
    await Promise.all([old.close(), two.close()]);
  });

  it('a dead-letter queue that another subscription still uses stays bound', async () => {
    const shared = { queue: 'tests:shared.dlq', route: 'tests:dead' };
    await (await deployed(topologyOf('other', { deadLetter: shared }))).close();
    await (await deployed(topologyOf('billing', { deadLetter: shared }))).close();
    const two = await deployed(topologyOf('billing', { deadLetter: { ...shared, queue: 'tests:own.dlq' } }));
    await two.publish(outgoing({ kind: 'dead-letter', route: 'tests:dead' }, message('1')));
    expect(await two.transport.queues.depth('tests:shared.dlq')).toBe(1);
    await two.close();
  });

  it('what somebody else or another service has bound is left alone', async () => {
    await (await deployed(OLD, { environment: { service: 'others' } })).close();
    await channel.bindQueue(QUEUE, 'events', 'by.hand');
    const two = await deployed(NEW);
    expect(await outcomes(two, 'invoice.created', 'by.hand')).toEqual(['confirmed', 'confirmed']);
    expect(two.warnings()).toEqual([]);
    await two.close();
  });

  it('with provision: false nothing is unbound or recorded, and the log has the command', async () => {
    await (await deployed(OLD)).close();
    const before = await channel.checkQueue('tests:declared');
    const two = await deployed(NEW, { environment: { provision: false } });
    expect(two.warnings()[0]).toContain('«provision» is false. To remove it: rabbitmqadmin');
    expect(await outcomes(two, 'invoice.created')).toEqual(['confirmed']);
    expect(await channel.checkQueue('tests:declared')).toEqual(before);
    await two.close();
  });

  it('is not looked for where the user may not keep the record, which the log tells once, and all else works', async () => {
    if (!rabbit.node) return;
    const target = new URL(url);
    const vhost = decodeURIComponent(target.pathname.slice(1));
    await rabbit.node.eval(`begin
      rabbit_auth_backend_internal:add_user(<<"narrow">>, <<"planted-password">>, <<"test">>),
      rabbit_auth_backend_internal:set_permissions(<<"narrow">>, <<"${vhost}">>, <<"^(events.*|tests:billing:.*|tests:other:.*)$">>, <<".*">>, <<".*">>, <<"test">>) end`);
    target.username = 'narrow';
    target.password = 'planted-password';
    const narrow = await Client.connect(target.href);
    for (const topology of [NEW, topologyOf('other'), NEW]) await narrow.transport.declare(topology);
    expect(await outcomes(narrow, 'invoice.paid', 'other')).toEqual(['confirmed', 'confirmed']);
    expect(narrow.warnings()).toEqual([expect.stringContaining('«tests:declared», which the user has to configure')]);
    expect(narrow.warnings()[0]).not.toMatch(/narrow|planted/);
    await narrow.close();
  });

  it('a queue of that name with messages of somebody else is left alone, which the log tells', async () => {
    await channel.assertQueue('tests:declared', { arguments: { 'x-queue-type': 'quorum' } });
    for (let count = 0; count < 300; count++) channel.sendToQueue('tests:declared', Buffer.from('{}'));
    const two = await deployed(NEW);
    expect(await outcomes(two, 'invoice.paid')).toEqual(['confirmed']);
    expect(two.warnings()).toEqual([expect.stringContaining('full of messages that are no record')]);
    await two.close();
    await waitFor(async () => (await channel.checkQueue('tests:declared')).messageCount === 300, 'all of them');
  });

  it('the record is one message, whoever writes it, and a message of somebody else in it does no harm', async () => {
    await channel.assertQueue('tests:declared', { arguments: { 'x-queue-type': 'quorum' } });

    channel.sendToQueue('tests:declared', Buffer.from('not ours'));
    const names = Array.from({ length: 5 }, (_, at) => `q${at}`);
    const clients = await Promise.all([1, 2, 3].map(() => Client.connect(url)));
    await Promise.all(clients.flatMap((client) => names.map((name) => client.transport.declare(topologyOf(name)))));
    await Promise.all(clients.map((client) => client.close()));
    const last = await deployed(topologyOf('last'));
    await last.close();
    expect(((await channel.get('tests:declared', { noAck: true })) || undefined)?.content.toString()).toBe('not ours');
    const record = await channel.get('tests:declared', { noAck: true });
    const { queues } = JSON.parse(record ? record.content.toString() : '{}') as { queues: object };
    expect(Object.keys(queues).sort()).toEqual(['tests:last:queue', ...names.map((name) => `tests:${name}:queue`)]);
    expect(await channel.get('tests:declared')).toBe(false);
  });
});
