import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type ChannelModel, connect } from 'amqplib';
import { provide } from './rabbitmq/provide.js';
import { createVhostByHttp } from './rabbitmq/external.js';
import { RabbitNode } from './rabbitmq/node.js';
import { describeRabbit, describeRabbitNode } from './rabbitmq.js';
import { waitFor } from './wait-for.js';

const opened: ChannelModel[] = [];

/** Every connection has an error listener: without one a fault ends the process. */
async function open(url: string, name?: string, socketOptions: object = {}): Promise<ChannelModel> {
  const connection = await connect(url, {
    noDelay: true,
    ...socketOptions,
    clientProperties: { connection_name: name },
  });
  connection.on('error', () => undefined);
  opened.push(connection);
  return connection;
}

async function firstOf(connection: ChannelModel, queue: string): Promise<string | undefined> {
  const channel = await connection.createChannel();
  channel.on('error', () => undefined);
  await channel.prefetch(1);
  return new Promise((resolve, reject) => {
    channel.consume(queue, (message) => resolve(message?.content.toString())).catch(reject);
  });
}

afterEach(async () => {
  await Promise.allSettled(opened.splice(0).map((connection) => connection.close()));
});

describeRabbit('the shared broker', (rabbit) => {
  test('has the version it says', async () => {
    const connection = await open(await rabbit.freshVhostUrl());
    expect(connection.connection.serverProperties.version).toBe(rabbit.version);
  });

  test('carries a message in a fresh vhost', async () => {
    const queue = `letters-${randomUUID()}`;
    const connection = await open(await rabbit.freshVhostUrl());
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue(queue);
    channel.sendToQueue(queue, Buffer.from('hello'));
    await channel.waitForConfirms();
    expect(await firstOf(connection, queue)).toBe('hello');
  });

  (rabbit.isolated ? test : test.skip)('keeps vhosts apart', async () => {
    const first = await open(await rabbit.freshVhostUrl());
    await (await first.createChannel()).assertQueue('letters');
    const second = await open(await rabbit.freshVhostUrl());
    const channel = await second.createChannel();
    channel.on('error', () => undefined);
    await expect(channel.checkQueue('letters')).rejects.toThrow('NOT_FOUND');
  });

  if (!rabbit.node) return;
  const node = rabbit.node;

  test('closes or kills the connections of one vhost only', async () => {
    const [here, elsewhere] = [await node.createVhost(), await node.createVhost()];
    const other = await open(node.url(elsewhere), 'other');
    const closed = once(await open(node.url(here), 'to be closed'), 'close');
    await waitFor(async () => (await node.connections(here)).length === 1);
    expect(await node.connections(here)).toEqual([{ name: 'to be closed', vhost: here, channels: 0 }]);
    expect(await node.closeConnections('go away', here)).toBe(1);
    expect(String((await closed)[0])).toMatch(/320.*CONNECTION_FORCED.*go away/);

    const killed = once(await open(node.url(here), 'to be killed'), 'error');
    await waitFor(async () => (await node.connections(here)).length === 1);
    expect(await node.killConnections(here)).toBe(1);
    expect(String((await killed)[0])).toMatch(/ECONNRESET|Unexpected close/);
    await (await other.createChannel()).close();
  });

  test('purges a queue', async () => {
    const vhost = await node.createVhost();
    const channel = await (await open(node.url(vhost))).createConfirmChannel();
    await channel.assertQueue('letters', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
    channel.sendToQueue('letters', Buffer.from('hello'));
    await channel.waitForConfirms();
    expect(await node.purge(vhost, 'letters')).toBe(1);
    await waitFor(async () => (await channel.checkQueue('letters')).messageCount === 0);
  });
});

describeRabbitNode('a private node', (rabbit) => {
  let node: RabbitNode;

  beforeAll(async () => {
    node = await rabbit.start({ tls: true, plugins: ['rabbitmq_management'], conf: ['channel_max = 7'] });
  });

  test('can be reached from a description of it', async () => {
    const attached = RabbitNode.attach(JSON.parse(JSON.stringify(node)));
    await attached.ready();
    const vhost = await attached.createVhost('ünder /scored');
    await open(attached.url(vhost));
    expect(await attached.eval('1 + 1.')).toBe('{ok, 2}');
  });

  test('reads further configuration', async () => {
    expect(await node.eval('application:get_env(rabbit, channel_max)')).toBe('{ok, {ok, 7}}');
  });

  test('speaks TLS with its certificate', async () => {
    const connection = await open(node.tlsUrl(), 'tls', { ca: [node.certificate] });
    await (await connection.createChannel()).close();
    await expect(open(node.tlsUrl())).rejects.toThrow(/self-signed/);
  });

  test('makes vhosts through the management plugin', async () => {
    await createVhostByHttp(node.managementUrl(), 'by http');
    await open(node.url('by http'));
  });

  test.each(['memoryAlarm', 'diskAlarm'] as const)('%s blocks publishers until it is undone', async (alarm) => {
    const connection = await open(node.url());
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue(alarm);
    await node[alarm](true);
    const blocked = once(connection, 'blocked');
    channel.sendToQueue(alarm, Buffer.from('hello'));
    expect(String((await blocked)[0])).toMatch(/low on/);
    let confirmed = false;
    const confirms = channel.waitForConfirms().then(() => (confirmed = true));
    expect(confirmed).toBe(false);
    const unblocked = once(connection, 'unblocked');
    await node[alarm](false);
    await Promise.all([unblocked, confirms]);
  });

  test('refuses new connections while its listeners are suspended', async () => {
    const connection = await open(node.url());
    await node.suspendListeners();
    await expect(open(node.url())).rejects.toThrow('ECONNREFUSED');
    await (await connection.createChannel()).close();
    await node.resumeListeners();
    await open(node.url());
  });

  test('hangs while it is suspended: the heartbeat notices', async () => {
    const connection = await open(`${node.url()}?heartbeat=1`);
    const lost = once(connection, 'error');
    await node.suspend();
    expect(String((await lost)[0])).toMatch(/heartbeat/i);
    node.resume();
    await node.ready();
  });

  test('keeps what it confirmed when it is killed', async () => {
    const types = ['classic', 'quorum'];
    const connection = await open(node.url());
    const lost = once(connection, 'error');
    const before = await connection.createConfirmChannel();
    before.on('error', () => undefined);
    for (const type of types) {
      await before.assertQueue(type, { durable: true, arguments: { 'x-queue-type': type } });
      before.sendToQueue(type, Buffer.from('hello'), { persistent: true });
    }
    await before.waitForConfirms();

    await node.kill();
    await lost;
    await expect(open(node.url())).rejects.toThrow('ECONNREFUSED');
    await node.restart();

    const after = await open(node.url());
    for (const type of types) {
      await waitFor(
        () =>
          firstOf(after, type).then(
            (text) => text === 'hello',
            () => false,
          ),
        type,
      );
    }
  });

  test('leaves nothing when it is stopped', async () => {
    const { directory, ports } = node.toJSON();
    await node.stop();
    expect(existsSync(directory)).toBe(false);
    for (const port of [ports.amqp, ports.epmd, ports.distribution]) {
      await expect(once(connectTcp(port, '127.0.0.1'), 'connect')).rejects.toThrow('ECONNREFUSED');
    }
  });

  // Takes seconds and shows the same with each version.
  (rabbit.newest ? test : test.skip)('says in its log why it cannot start', async () => {
    const failed = rabbit.start({ conf: ['no_such_setting = 1'] });
    await expect(failed).rejects.toThrow(/ended while it started[^]*no_such_setting/);
  });
});

describe('without brokers', () => {
  const before = process.env;
  afterEach(() => {
    process.env = before;
  });

  test('TEST_BROKERS=none provides nothing and says so', async () => {
    process.env = { ...before, TEST_BROKERS: 'none' };
    expect((await provide()).skipped).toEqual([{ broker: 'RabbitMQ', reason: 'TEST_BROKERS=none' }]);
  });

  test('an unreachable TEST_RABBITMQ_URL provides nothing and says so', async () => {
    process.env = { ...before, TEST_BROKERS: '', TEST_RABBITMQ_URL: 'amqp://127.0.0.1:1' };
    const { available, skipped } = await provide();
    expect(available).toEqual([]);
    expect(skipped[0].reason).toMatch(/TEST_RABBITMQ_URL: .*ECONNREFUSED/);
  });
});

describeRabbit('TEST_RABBITMQ_URL', (rabbit) => {
  const before = process.env;
  afterEach(() => {
    process.env = before;
  });

  test('is the only broker then', async () => {
    const url = await rabbit.freshVhostUrl();
    process.env = { ...before, TEST_BROKERS: '', TEST_RABBITMQ_URL: url };
    expect((await provide()).available).toEqual([expect.objectContaining({ version: rabbit.version, url })]);
  });
});
