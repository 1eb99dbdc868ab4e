import { afterEach, expect, test } from '@jest/globals';
import type { Delivery } from 'nestjs-messaging/transport';
import { describeRedisNode } from '../brokers/redis.js';
import type { RedisServer } from '../brokers/redis/server.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeTransports, PlainTransport, queueOf } from './client.js';

const queue = 'orders';
const stream = `{messaging}:stream:${queue}`;

afterEach(closeTransports);

describeRedisNode('what is confirmed is worth', (redis) => {
  async function told(server: RedisServer): Promise<{ durable: boolean; warnings: string }> {
    const client = await PlainTransport.connect({ url: server.url });
    return { durable: client.transport.capabilities.durable, warnings: client.warnings().join('\n') };
  }

  test('what the server says at boot, and every connection anew', async () => {
    const server = await redis.start();
    expect(await told(server)).toEqual({ durable: true, warnings: '' });
    await server.command('config', 'set', 'appendfsync', 'everysec');
    expect(await told(server)).toEqual({ durable: true, warnings: expect.stringContaining('up to 2 s') });
    await server.command('config', 'set', 'appendfsync', 'no');
    expect(await told(server)).toEqual({ durable: true, warnings: expect.stringContaining('appendfsync no') });
    await server.command('config', 'set', 'appendonly', 'no');
    expect(await told(server)).toEqual({ durable: false, warnings: expect.stringContaining('appendonly is off') });
    await server.command('config', 'set', 'appendonly', 'yes');
    await server.command('config', 'set', 'maxmemory', '100mb');
    expect((await told(server)).durable).toBe(true);
    await server.command('config', 'set', 'maxmemory-policy', 'allkeys-lru');
    expect(await told(server)).toEqual({ durable: false, warnings: expect.stringContaining('allkeys-lru') });
  });

  test('what health tells, and what became otherwise since the start', async () => {
    const server = await redis.start();
    const client = await PlainTransport.connect({ url: server.url });
    const said = { role: 'primary', appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction' };
    expect(client.transport.server).toMatchObject(said);
    expect(client.transport.server).not.toHaveProperty('changed');
    await server.command('config', 'set', 'appendfsync', 'everysec');
    await server.command('client', 'kill', 'type', 'normal');
    await waitFor(() => client.warnings().some((line) => line.includes('appendfsync is everysec, and was always')));
    expect(client.transport.server).toMatchObject({
      ...said,
      appendfsync: 'everysec',
      changed: 'appendfsync (was always)',
    });
  });

  test('nothing on a replica: it is not published to', async () => {
    const server = await redis.start();
    await server.command('replicaof', '127.0.0.1', 1);
    const client = await PlainTransport.connect({ url: server.url });
    expect(client.events.map(({ type }) => type)).toEqual(['disconnected']);
    await server.command('replicaof', 'no', 'one');
    await waitFor(() => client.events.some(({ type }) => type === 'connected'));
  });
});

describeRedisNode('a transport of Redis', (redis) => {
  let shared: Promise<RedisServer> | undefined;
  const start = (): Promise<RedisServer> => (shared ??= redis.start());

  async function consuming(server: RedisServer): Promise<{ client: PlainTransport; ids: string[] }> {
    await server.command('flushall');
    const client = await PlainTransport.connect({ url: server.url, pollInterval: 100 });
    const ids: string[] = [];
    await client.consume(queueOf(queue), 10, (delivery) => {
      ids.push(delivery.message.id);
      delivery.ack();
    });
    return { client, ids };
  }

  test.each([
    ['everything is deleted', ['flushall']],
    ['a stream is deleted', ['del', stream]],
    ['the group of a stream is deleted', ['xgroup', 'destroy', stream, 'messaging']],
  ] as const)('comes back where %s, and says that it is gone', async (_, [command, ...values]) => {
    const server = await start();
    const { client, ids } = await consuming(server);
    await server.command(command, ...values);
    await waitFor(() => client.warnings().some((line) => line.includes(`«${queue}» was gone`)), 'a warning');
    expect(await client.publish(client.toQueue(queue, { id: 'after' }))).toEqual(['confirmed']);
    await waitFor(() => ids.includes('after'));
  });

  test('refuses a queue whose key holds something else, by its name', async () => {
    const server = await start();
    await server.command('flushall');
    await server.command('set', stream, 'foreign');
    const client = await PlainTransport.connect({ url: server.url });
    await expect(client.transport.declare(queueOf(queue))).rejects.toThrow(`The key «${stream}»`);
    expect(await server.command('get', stream)).toBe('foreign');
  });

  test('goes on with other queues where somebody puts something else in the place of one', async () => {
    const server = await start();
    const { client, ids } = await consuming(server);
    await client.transport.declare(queueOf('other'));
    await server.command('del', '{messaging}:stream:other');
    await server.command('set', '{messaging}:stream:other', 'foreign');
    const batch = [client.toQueue('other', { id: 'lost' }), client.toQueue(queue, { id: 'taken' })];
    expect(await client.publish(...batch)).toEqual(['failed', 'confirmed']);
    await waitFor(() => ids.includes('taken'));
  });

  test('hands over what others have written: with a body, with fields of their own, with a head that is no JSON', async () => {
    const server = await start();
    await server.command('flushall');
    const client = await PlainTransport.connect({ url: server.url });
    const received: Delivery[] = [];
    await client.consume(queueOf(queue), 10, (delivery) => {
      received.push(delivery);
      delivery.ack();
    });
    await server.command('xadd', stream, '*', 'body', '{"item":"book"}');
    await server.command('xadd', stream, '*', 'item', 'book', 'key', 'customer 1');
    await server.command('xadd', stream, '*', 'head', 'no json', 'body', '{}', '__proto__', 'x');
    await waitFor(() => received.length === 3);
    expect(received.map(({ message }) => [message.id, message.body.toString()])).toEqual([
      ['', '{"item":"book"}'],
      ['', '{"item":"book","key":"customer 1"}'],
      ['', '{}'],
    ]);
    expect(received[0].raw).toMatchObject({ fields: { body: Buffer.from('{"item":"book"}') } });
    await waitFor(async () => (await server.command('xlen', stream)) === 0, 'every ack');
    expect(await server.command('exists', `{messaging}:keys:${queue}`)).toBe(0);
  });

  test.each([
    ['-xadd', /xadd/i],
    ['-xclaim', /xclaim/i],
    ['-publish', /publish/i],
    ['-subscribe', /subscribe/i],
    ['-evalsha', /evalsha/i],
    ['-info', /info/i],
    ['resetkeys ~other:*', /permission/i],
    ['resetchannels &other', /permission|channel/i],
  ])('names what the user may not do, and does not show the password: %s', async (rule, named) => {
    const server = await start();
    const password = 'planted-secret';
    await server.command('acl', 'setuser', 'limited', 'reset', 'on', `>${password}`, '~*', '&*', '+@all', ...rule.split(' ')); // prettier-ignore
    const failed = PlainTransport.connect({ url: server.urlOf('limited', password) });
    await expect(failed).rejects.toMatchObject({ code: 'BROKER_CONFIGURATION', message: expect.stringMatching(named) });
    await expect(failed).rejects.not.toThrow(password);
  });

  test('works where the configuration of the server may not be read, and says what is not known', async () => {
    const server = await start();
    await server.command('acl', 'setuser', 'limited', 'reset', 'on', '>limited', '~{messaging}:*', '&{messaging}:*', '+@all', '-config'); // prettier-ignore
    const client = await PlainTransport.connect({ url: server.urlOf('limited', 'limited') });
    expect(client.warnings().join()).toMatch(/CONFIG GET is refused/);
    await client.transport.declare(queueOf(queue));
    expect(await client.publish(client.toQueue(queue))).toEqual(['confirmed']);
  });

  test('settles where memory is full: acks, gives back, moves; a publish is refused, and its reason told', async () => {
    const server = await redis.start();
    const client = await PlainTransport.connect({ url: server.url, lease: 1_000, pollInterval: 100 });
    for (const name of [queue, 'dead']) await client.transport.declare(queueOf(name));
    const held: Delivery[] = [];
    await client.consume(queueOf(queue), 10, (delivery) => held.push(delivery));
    await client.publish(...['acked', 'retried', 'dead', 'back', 'later'].map((id) => client.toQueue(queue, { id })));
    await waitFor(() => held.length === 5);
    await server.command('config', 'set', 'maxmemory', 1);
    const [acked, retried, dead, back, later] = held.splice(0);
    expect(await client.publish(client.toQueue(queue, { id: 'refused' }))).toEqual(['failed']);
    expect(await acked.ackConfirmed!()).toBe(true);
    const retry = client.toQueue(queue, { id: 'retry' }, { dueAt: Date.now() + 50 });
    expect((await retried.move!(retry)).status).toBe('confirmed');
    expect((await dead.move!(client.toQueue('dead', { id: 'dead' }))).status).toBe('confirmed');
    back.release();
    later.release(50);
    await waitFor(() => held.length === 3, 'what was given back, what waited, and the retry');
    expect(held.map(({ message }) => message.id).sort()).toEqual(['back', 'later', 'retry']);
    expect(await client.transport.queues!.depth('dead')).toBe(1);
    for (const delivery of held) expect(await delivery.ackConfirmed!()).toBe(true);
    expect(await server.command('xlen', stream)).toBe(0);
    // Who comes now handles what there is: so there is memory again.
    const other = await PlainTransport.connect({ url: server.url });
    const drained: string[] = [];
    await other.consume(queueOf('dead'), 1, (delivery) => {
      drained.push(delivery.message.id);
      delivery.ack();
    });
    await waitFor(() => drained.length === 1);
  });

  test('counts what somebody else has removed of that which was given back', async () => {
    const server = await start();
    await server.command('flushall');
    const client = await PlainTransport.connect({ url: server.url, pollInterval: 100 });
    const held: Delivery[] = [];
    const subscription = await client.consume(queueOf(queue), 2, (delivery) => held.push(delivery));
    await client.publish(client.toQueue(queue, { id: '1' }), client.toQueue(queue, { id: '2' }));
    await waitFor(() => held.length === 2);
    subscription.pause();
    for (const delivery of held.splice(0)) delivery.release(100);
    await waitFor(async () => (await client.transport.queues!.list!({ queues: [queue] }))!.waiting[0].ready === 2);
    await server.command('xtrim', stream, 'maxlen', 0);
    subscription.resume();
    await waitFor(() => client.warnings().some((line) => line.startsWith(`2 messages of «${queue}» were removed`)));
    expect(held).toEqual([]);
  });
});
