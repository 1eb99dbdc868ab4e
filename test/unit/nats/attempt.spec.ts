import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { addressOf } from '../../../lib/transports/nats/connection/address.js';
import { waitFor } from '../../brokers/wait-for.js';

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

/** A server that takes connections and says `greeting`, or nothing. */
async function serverThatSays(greeting: string): Promise<{ port: number; open: Set<Socket> }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    socket.on('data', (data) => void (greeting && String(data).includes('PING') && socket.write('PONG\r\n')));
    socket.write(greeting);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, open };
}

const urls = (...ports: number[]): URL[] => ports.map((port) => new URL(`nats://127.0.0.1:${port}`));

test('an attempt that nobody answers closes its sockets, and no other', async () => {
  const silent = await serverThatSays('');
  const attempt = addressOf(urls(silent.port), { timeout: 100 }, undefined).open('orders');
  const foreign = connect(silent.port, '127.0.0.1');
  await expect(attempt).rejects.toThrow('timeout');
  await waitFor(() => silent.open.size === 1, 'one socket');
  expect(foreign.destroyed).toBe(false);
  const own = [...silent.open].map(({ remotePort }) => remotePort);
  expect(own).toEqual([foreign.localPort]);
  foreign.destroy();
});

test('where the second server answers, the socket to the first one is closed, and the connection lives', async () => {
  const silent = await serverThatSays('');
  const info = { server_id: 'x', version: '2.10.0', max_payload: 1_048_576, proto: 1, headers: true };
  const good = await serverThatSays(`INFO ${JSON.stringify(info)}\r\n`);
  // The second server has it, too: enough for a process that was kept from running.
  const options = { timeout: 2_000, noRandomize: true };
  const connection = await addressOf(urls(silent.port, good.port), options, undefined).open('orders');
  await waitFor(() => silent.open.size === 0, 'the end of the first socket');
  await connection.flush();
  expect([good.open.size, connection.isClosed()]).toEqual([1, false]);
  await connection.close();
});
