import type { Socket } from 'node:net';
import type { Client, ClientConfig, Pool, PoolClient } from 'pg';
import { loadPeer } from '../errors/optional-peer.js';

/** What is used of the client. */
export interface Pg {
  readonly Client: typeof Client;
  readonly Pool: typeof Pool;
}

/** A pool, and the connections it has at this moment. */
export interface WatchedPool {
  readonly pool: Pool;
  readonly clients: ReadonlySet<Client | PoolClient>;
  /** Ends them without a word to the server. */
  destroy(): void;
}

/** The only place that loads `pg`, when the first connection is made: it is an optional peer. @throws MissingPeerError */
export async function loadPg(neededBy: string): Promise<Pg> {
  const loaded = await loadPeer({ name: 'pg', range: '^8.16', neededBy }, () => import('pg'));
  return (loaded as { default?: unknown }).default ? loaded.default : loaded;
}

/** A pool whose connections may fail at any moment: a client without a listener ends the process when its connection does. */
export function watchedPool({ Pool }: Pg, config: ClientConfig, max: number): WatchedPool {
  const pool = new Pool({ ...config, max, allowExitOnIdle: true });
  const clients = new Set<PoolClient>();
  pool.on('error', () => {});
  // For its whole life, also while somebody uses it.
  pool.on('connect', (client) => {
    clients.add(client);
    client.on('error', () => {});
  });
  pool.on('remove', (client) => clients.delete(client));
  return { pool, clients, destroy: () => clients.forEach(destroyClient) };
}

/** Without a word to the server. */
export function destroyClient(client: Client | PoolClient): void {
  (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
}
