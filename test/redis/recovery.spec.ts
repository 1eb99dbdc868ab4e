import { afterEach, expect, jest, test } from '@jest/globals';
import type { Delivery } from 'nestjs-messaging/transport';
import { Claims } from '../../lib/transports/redis/claims.js';
import type { Link } from '../../lib/transports/redis/link.js';
import { Names } from '../../lib/transports/redis/routes.js';
import { Proxy } from '../brokers/proxy.js';
import { describeRedisNode } from '../brokers/redis.js';
import type { RedisServer } from '../brokers/redis/server.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeTransports, PlainTransport, queueOf } from './client.js';
import { kill } from './faults.js';

const queue = 'orders';
const key = (kind: string, name = queue): string => `{messaging}:${kind}:${name}`;

describeRedisNode('a transport of Redis', (redis) => {
  if (!redis.newest) return void test('is tested with the newest server', () => {});
  let shared: Promise<RedisServer> | undefined;
  const proxies: Proxy[] = [];

  afterEach(async () => {
    await closeTransports();
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  });

  async function fresh(): Promise<RedisServer> {
    const server = await (shared ??= redis.start());
    await server.command('flushall');
    return server;
  }

  async function proxied(server: RedisServer): Promise<{ client: PlainTransport; proxy: Proxy }> {
    const proxy = await Proxy.start(server.port);
    proxies.push(proxy);
    return { client: await PlainTransport.connect({ url: proxy.url(server.url), pollInterval: 100 }), proxy };
  }

  const linkOf = ({ transport }: PlainTransport): Link | undefined =>
    (transport as unknown as { parts: { connection: { current?: Link } } }).parts.connection.current;

  /** The answers to what `send` sends are lost, and the connection with them. */
  async function losingAnswers<T>(client: PlainTransport, proxy: Proxy, send: () => Promise<T>): Promise<T> {
    await waitFor(() => linkOf(client) !== undefined, 'a connection');
    const { droppedBytes } = proxy;
    proxy.dropFromBroker(true);
    const sent = send();
    await waitFor(() => proxy.droppedBytes > droppedBytes);
    proxy.dropFromBroker(false);
    proxy.reset();
    const result = await sent;
    await waitFor(() => linkOf(client) !== undefined, 'a connection');
    return result;
  }

  test('shows dead letters again that a look had which died', async () => {
    const server = await fresh();
    const options = { url: server.url, lease: 1_000, pollInterval: 100 };
    const dying = await PlainTransport.connect(options);
    await dying.transport.declare(queueOf('dead'));
    await dying.publish(...['1', '2', '3'].map((id) => dying.toQueue('dead', { id })));
    expect(await (await dying.transport.queues!.browse('dead')).next()).toBeDefined();
    await kill(dying);
    const client = await PlainTransport.connect(options);
    const seen = new Set<string>();
    await waitFor(async () => {
      const look = await client.transport.queues!.browse('dead');
      for (let found = await look.next(); found; found = await look.next()) seen.add(found.message.id);
      await look.close();
      return seen.size === 3;
    }, 'every dead letter');
  });

  test('shows in a long look what a consumer had that died meanwhile', async () => {
    const server = await fresh();
    const options = { url: server.url, lease: 1_000, pollInterval: 100 };
    const dying = await PlainTransport.connect(options);
    const held: Delivery[] = [];
    await dying.consume(queueOf(queue), 5, (delivery) => held.push(delivery));
    await dying.publish(dying.toQueue(queue, { id: 'held' }));
    await waitFor(() => held.length === 1);
    const client = await PlainTransport.connect(options);
    const look = await client.transport.queues!.browse(queue);
    await kill(dying);
    let found: Delivery | undefined;
    await waitFor(async () => (found = await look.next()) !== undefined, 'the message');
    expect(found!.message.id).toBe('held');
    await look.close();
  });

  test('confirms after a lost answer only what was stored, where it was stored', async () => {
    const server = await fresh();
    const { client, proxy } = await proxied(server);
    await client.transport.declare({ queue: 'created', patterns: ['created'], provision: true });
    await client.transport.declare({ queue: 'paid', patterns: ['paid'], provision: true });
    await client.transport.declare({ queue: 'broken', patterns: ['broken'], provision: true });
    await server.command('del', key('stream', 'broken'));
    await server.command('set', key('stream', 'broken'), 'foreign');
    const to = (route: string, id: string): Parameters<typeof client.publish>[0] => ({
      ...client.toQueue(queue, { id, route }),
      to: { kind: 'route', route },
    });
    const batch = [to('nobody', 'n'), to('broken', 'b'), to('created', 'c')];
    expect(await losingAnswers(client, proxy, () => client.publish(...batch))).toEqual(['unroutable', 'failed', 'failed'].map(() => 'failed')); // prettier-ignore
    expect(await client.publish(...batch, to('paid', 'c'))).toEqual(['unroutable', 'failed', 'confirmed', 'confirmed']);
    expect(await server.command('xlen', key('stream', 'created'))).toBe(1);
    expect(await server.command('xlen', key('stream', 'paid'))).toBe(1);
  });

  test('stores once what it sends again after links that last for a moment only', async () => {
    const server = await fresh();
    const { client, proxy } = await proxied(server);
    await client.transport.declare(queueOf(queue));
    const ids = Array.from({ length: 6 }, (_, at) => `m${at}`);
    for (const id of ids) {
      const send = (): Promise<string[]> => client.publish(client.toQueue(queue, { id }));
      const [status] = await losingAnswers(client, proxy, send);
      if (status !== 'confirmed') expect(await send()).toEqual(['confirmed']);
    }
    const found = await server.command<[string, string[]][]>('xrange', key('stream'), '-', '+');
    const stored = found.map(([, [, head]]) => (JSON.parse(head) as { id: string }).id);
    expect(stored.sort()).toEqual(ids);
  });

  test('hands over what comes with a head that others wrote, and what was taken with it', async () => {
    const server = await fresh();
    const client = await PlainTransport.connect({ url: server.url, pollInterval: 100 });
    await client.transport.declare(queueOf(queue));
    const nested = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const heads = ['{"$":["bytes",5]}', '{"$":["json",{}]}', '{"$":["date",[]]}', '{"$":["number",{}]}', nested];
    for (const head of heads) await server.command('xadd', key('stream'), '*', 'head', `{"id":"foreign","headers":{"x":${head}}}`, 'body', 'x'); // prettier-ignore
    await client.publish(client.toQueue(queue, { id: 'ours' }));
    const ids: string[] = [];
    await client.consume(queueOf(queue), 10, (delivery) => {
      ids.push(delivery.message.id);
      delivery.ack();
    });
    await waitFor(() => ids.length > heads.length, 'every message');
    expect(ids).toEqual([...heads.map(() => 'foreign'), 'ours']);
  });

  test.each([
    ['waiting', 'foreign'],
    ['waiting', '@no id\n'],
    ['waiting', '@1-1\nno key'],
    ['returned', 'no id'],
  ])('goes on where others have put into %s what is no message, and tells: %j', async (kind, member) => {
    const server = await fresh();
    const client = await PlainTransport.connect({ url: server.url, pollInterval: 100 });
    const ids: string[] = [];
    await client.consume(queueOf(queue), 10, (delivery) => {
      ids.push(delivery.message.id);
      delivery.ack();
    });
    await server.command('zadd', key(kind), 0, member);
    await client.publish(client.toQueue(queue, { id: 'after' }));
    await waitFor(() => ids.includes('after'));
    await waitFor(() => client.warnings().some((line) => line.startsWith('1 messages of «orders»')), 'a warning');
    expect(await server.command('exists', key(kind))).toBe(0);
  });

  test('keeps an exclusive queue that is consumed where the clock of the server jumps', async () => {
    const server = await fresh();
    const client = await PlainTransport.connect({ url: server.url, lease: 3_000, pollInterval: 100 });
    const held: Delivery[] = [];
    const lost: Delivery[] = [];
    const topology = { ...queueOf(queue), exclusive: { expiresMs: 60_000 } };
    await client.consume(topology, 1, (delivery) => held.push(delivery), (delivery) => lost.push(delivery)); // prettier-ignore
    await client.publish(...['1', '2'].map((id) => client.toQueue(queue, { id })));
    await waitFor(() => held.length === 1);
    // As it stands after a jump: all times of before are an hour ago.
    const [who] = await server.command<string[]>('hkeys', key('consumers'));
    await server.command('hset', key('consumers'), who, `${Date.now() - 3_600_000}:3000`);
    await server.command('zadd', '{messaging}:expiring', Date.now() - 3_600_000, queue);
    const renewed = async (): Promise<boolean> => Number(await server.command('zscore', '{messaging}:expiring', queue)) > Date.now(); // prettier-ignore
    await waitFor(async () => lost.length > 0 || (await renewed()), 'a look at the queue');
    expect(lost).toEqual([]);
    expect(await server.command('xlen', key('stream'))).toBe(2);
  });

  test('is a consumer no more once others gave it up: neither pause nor resume make it one', async () => {
    const server = await fresh();
    const options = { url: server.url, lease: 3_000, pollInterval: 100 };
    const [client, other] = [await PlainTransport.connect(options), await PlainTransport.connect(options)];
    const held: Delivery[] = [];
    const lost: Delivery[] = [];
    const subscription = await client.consume(queueOf(queue), 1, (delivery) => held.push(delivery), (delivery) => lost.push(delivery)); // prettier-ignore
    await client.publish(client.toQueue(queue, { id: '1' }));
    await waitFor(() => held.length === 1);
    subscription.pause();
    const [owner] = await server.command<string[]>('hkeys', key('consumers'));
    await new Claims(linkOf(other)!, new Names('messaging'), queue, 'who gives up', 30_000).leave(owner);
    subscription.resume();
    await waitFor(() => lost.length === 1, 'the loss of the delivery');
    expect(await server.command<string[]>('hkeys', key('consumers'))).not.toContain(owner);
  });

  test('leaves no timer behind when it is closed', async () => {
    const server = await fresh();
    const sockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    const before = sockets();
    const client = await PlainTransport.connect({ url: server.url });
    await client.transport.declare(queueOf(queue));
    const timers = jest.spyOn(globalThis, 'setTimeout');
    await closeTransports();
    await waitFor(() => sockets() <= before, 'the close of every socket');
    const left = timers.mock.results.map(({ value }) => value as NodeJS.Timeout & { _destroyed: boolean });
    timers.mockRestore();
    expect(left.filter((timer) => !timer._destroyed && timer.hasRef())).toEqual([]);
  });
});
