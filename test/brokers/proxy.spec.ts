import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { connect as connectAmqp } from 'amqplib';
import { Proxy } from './proxy.js';
import { describeRabbit } from './rabbitmq.js';
import { waitFor } from './wait-for.js';

describe('Proxy', () => {
  let server: Server;
  let proxy: Proxy;
  let received: string;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    received = '';
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (data) => (received += data.toString()));
      socket.pipe(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await Proxy.start((server.address() as { port: number }).port);
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await proxy.close();
    server.close();
  });

  /** A client of an echo server. */
  async function open(): Promise<{ socket: Socket; echoed: () => string }> {
    const socket = connect(proxy.port, '127.0.0.1');
    sockets.push(socket);
    let text = '';
    socket.on('data', (data) => (text += data.toString()));
    await once(socket, 'connect');
    return { socket, echoed: () => text };
  }

  /** Settles when the socket is closed, with its error's code. Node ends a socket before it resets it: either may be read first. */
  async function closed(socket: Socket): Promise<string | undefined> {
    let code: string | undefined;
    socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code));
    await new Promise((resolve) => socket.once('close', resolve));
    return code;
  }

  test('passes bytes in both directions, and the end', async () => {
    const { socket, echoed } = await open();
    const ended = closed(socket);
    socket.end('x'.repeat(3_000_000));
    expect(await ended).toBeUndefined();
    expect(echoed()).toHaveLength(3_000_000);
    await waitFor(() => proxy.connections === 0);
  });

  test('leads a broker URL through itself', () => {
    const url = proxy.url('amqp://guest:secret@elsewhere:5672/vhost?heartbeat=1');
    expect(url).toBe(`amqp://guest:secret@127.0.0.1:${proxy.port}/vhost?heartbeat=1`);
  });

  test('latency delays each direction and keeps the order', async () => {
    const { socket, echoed } = await open();
    proxy.latency(40);
    const started = Date.now();
    for (const text of ['a', 'b', 'c']) socket.write(text);
    await waitFor(() => echoed().length === 3);
    expect(Date.now() - started).toBeGreaterThanOrEqual(78);
    expect(echoed()).toBe('abc');
  });

  test('stall holds everything back and resume lets it pass', async () => {
    const first = await open();
    first.socket.write('a');
    await waitFor(() => first.echoed() === 'a');
    proxy.stall();
    first.socket.write('b');
    const second = await open();
    second.socket.write('c');
    await waitFor(() => proxy.connections === 2);
    await expect(waitFor(() => received !== 'a', 'bytes', 50)).rejects.toThrow('in vain');
    expect(first.socket.readyState).toBe('open');
    proxy.resume();
    await waitFor(() => first.echoed() === 'ab' && second.echoed() === 'c');
  });

  test('reset ends every connection', async () => {
    const { socket } = await open();
    await waitFor(() => proxy.connections === 1);
    const cut = closed(socket);
    expect(proxy.reset()).toBe(1);
    expect([undefined, 'ECONNRESET']).toContain(await cut);
    await waitFor(() => proxy.connections === 0);
  });

  test('refuse turns new connections away and keeps the open ones', async () => {
    const { socket, echoed } = await open();
    await waitFor(() => proxy.connections === 1);
    await proxy.refuse(true);
    await expect(open()).rejects.toThrow('ECONNREFUSED');
    socket.write('a');
    await waitFor(() => echoed() === 'a');
    await proxy.refuse(false);
    await open();
  });

  test('cutAfter lets exactly so many bytes through', async () => {
    const { socket } = await open();
    const reset = closed(socket);
    const cut = proxy.cutAfter(5);
    socket.write('abc');
    await waitFor(() => received === 'abc');
    socket.write('defgh');
    await cut;
    expect(received).toBe('abcde');
    expect([undefined, 'ECONNRESET']).toContain(await reset);
  });

  test('endOver lets through what came before, and says the last words', async () => {
    const { socket, echoed } = await open();
    const ended = once(socket, 'end');
    proxy.endOver(Buffer.from('bad'), Buffer.from('bye'));
    socket.write('good, bad, good');
    await ended;
    expect(echoed()).toBe('bye');
    await waitFor(() => received === 'good, ');
    proxy.endOver(undefined, Buffer.of());
    const next = await open();
    next.socket.write('bad');
    await waitFor(() => next.echoed() === 'bad');
  });

  test('dropFromBroker discards the answers', async () => {
    const { socket, echoed } = await open();
    proxy.dropFromBroker(true);
    socket.write('abc');
    await waitFor(() => proxy.droppedBytes === 3);
    proxy.dropFromBroker(false);
    socket.write('def');
    await waitFor(() => echoed() === 'def');
    expect(received).toBe('abcdef');
  });

  test('a broker that cannot be reached looks like a reset', async () => {
    server.close();
    const { socket } = await open();
    expect([undefined, 'ECONNRESET']).toContain(await closed(socket));
  });
});

describeRabbit('Proxy in front of a broker', (rabbit) => {
  let queue: string;

  beforeEach(() => {
    queue = `letters-${randomUUID()}`;
  });

  test('loses a confirm of a message that is stored', async () => {
    const url = await rabbit.freshVhostUrl();
    const proxy = await Proxy.start(url);
    const direct = await connectAmqp(url);
    const connection = await connectAmqp(proxy.url(url));
    connection.on('error', () => undefined);
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => undefined);
    await channel.assertQueue(queue);
    proxy.dropFromBroker(true);
    channel.sendToQueue(queue, Buffer.from('hello'));
    const confirmed = channel.waitForConfirms();
    confirmed.catch(() => undefined);
    const observer = await direct.createChannel();
    await waitFor(async () => (await observer.checkQueue(queue)).messageCount === 1);
    proxy.reset();
    await expect(confirmed).rejects.toThrow();
    await proxy.close();
    await direct.close();
  });

  test('cuts a connection in the middle of a frame: the message is not stored', async () => {
    const url = await rabbit.freshVhostUrl();
    const proxy = await Proxy.start(url);
    const direct = await connectAmqp(url);
    const connection = await connectAmqp(proxy.url(url));
    const failed = once(connection, 'error');
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => undefined);
    await channel.assertQueue(queue);
    const cut = proxy.cutAfter(1_000);
    channel.sendToQueue(queue, Buffer.alloc(2_000));
    await Promise.all([cut, failed]);
    expect((await (await direct.createChannel()).checkQueue(queue)).messageCount).toBe(0);
    await proxy.close();
    await direct.close();
  });
});
