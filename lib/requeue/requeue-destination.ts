import type { Destination } from '../durable-queue/destination.js';

const PREFIX = 'requeue:';

/**
 * Messages go back to the servers that they came from. A list of servers may change, one after the other: as long as one of
 * them stays, the files are those of the same service.
 */
export function requeueDestination(servers: readonly string[]): Destination {
  const own = hosts(servers);
  const accepts = (name: string): boolean =>
    name.startsWith(PREFIX) && hosts(name.slice(PREFIX.length).split(',')).some((host) => own.includes(host));
  return { name: PREFIX + own.join(','), accepts };
}

function hosts(servers: readonly string[]): string[] {
  return servers.map((host) => (/:\d+$/.test(host) ? host : `${host}:4222`)).sort();
}
