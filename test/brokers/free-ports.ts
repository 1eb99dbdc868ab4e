import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/**
 * Ports below the range the system takes for outgoing connections: a client that keeps trying to reach
 * a stopped broker can be given the broker's own port as its local one, and then connects to itself.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = 10_000 + Math.floor(Math.random() * (firstOutgoingPort() - 10_000));
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function firstOutgoingPort(): number {
  try {
    const first = Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
    return first > 12_000 ? first : 32_768;
  } catch {
    return 32_768;
  }
}
