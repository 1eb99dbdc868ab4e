import { afterEach, describe, expect, test } from '@jest/globals';
import { jetstream, jetstreamManager, RetentionPolicy } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { describeNats, describeNatsNode } from './nats.js';
import { provide } from './nats/provide.js';

const opened: NatsConnection[] = [];

async function open(servers: string): Promise<NatsConnection> {
  const { host, username, password } = new URL(servers);
  const connection = await connect({
    servers: host,
    reconnect: false,
    ...(username ? { user: username, pass: password } : {}),
  });
  opened.push(connection);
  return connection;
}

afterEach(async () => void (await Promise.all(opened.splice(0).map((connection) => connection.close()))));

describeNats('a NATS server', (nats) => {
  test('has the version it says, and JetStream', async () => {
    const { info } = await open(await nats.url());
    expect([info?.version, info?.jetstream]).toEqual([nats.version, true]);
  });
});

describeNatsNode('a NATS server of the run', (nats) => {
  test('has after SIGKILL what it acknowledged', async () => {
    const server = await nats.start();
    const before = await open(server.url);
    await (await jetstreamManager(before)).streams.add({ name: 'kept', retention: RetentionPolicy.Limits });
    await jetstream(before).publish('kept', 'hello');
    await server.restart();
    const manager = await jetstreamManager(await open(server.url));
    expect((await manager.streams.getMessage('kept', { seq: 1 }))?.string()).toBe('hello');
  });

  test('lets nobody in without the password, where it has one', async () => {
    const server = await nats.start({ user: { name: 'test', password: 'p:ss' } });
    await expect(open(`nats://127.0.0.1:${server.port}`)).rejects.toThrow(/authorization/i);
  });

  test('can be without JetStream', async () => {
    const server = await nats.start({ jetstream: false });
    expect((await open(server.url)).info?.jetstream).toBeUndefined();
  });

  test('says in its log why it cannot start', async () => {
    await expect(nats.start({ conf: ['no_such_setting: {'] })).rejects.toThrow(/did not start/);
  });
});

describe('without NATS', () => {
  const before = process.env;
  afterEach(() => {
    process.env = before;
  });

  test.each(['none', 'rabbitmq'])('TEST_BROKERS=%s provides none and says so', async (selection) => {
    process.env = { ...before, TEST_BROKERS: selection };
    expect((await provide()).skipped).toEqual([{ broker: 'NATS', reason: `TEST_BROKERS=${selection}` }]);
  });

  test('an unreachable TEST_NATS_URL provides none and says so', async () => {
    process.env = { ...before, TEST_BROKERS: '', TEST_NATS_URL: 'nats://127.0.0.1:1' };
    expect((await provide()).skipped[0].reason).toMatch(/TEST_NATS_URL: .*ECONNREFUSED/);
  });
});
