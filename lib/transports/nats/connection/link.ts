import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { NatsClient } from './peers.js';

/** How long the JetStream API may take to answer. */
const API_TIMEOUT_MS = 5_000;
export const NANOS_PER_MS = 1_000_000;

/** One open connection with what is known of its server. */
export interface Link {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  /** A consumer can have several filters: server 2.10 and later. */
  readonly manyFilters: boolean;
  /** The most bytes of headers and body together; the server can change it. */
  readonly maxPayload: number;
  /** A new subject that nobody else publishes to. */
  inbox(): string;
}

export async function openLink(connection: NatsConnection, client: NatsClient): Promise<Link> {
  const manager = await client.jetstreamManager(connection, { checkAPI: false, timeout: API_TIMEOUT_MS });
  const { version = '' } = connection.info ?? {};
  const [major, minor] = version.split('.').map(Number);
  return {
    connection,
    manager,
    manyFilters: major > 2 || (major === 2 && minor >= 10),
    get maxPayload() {
      return connection.info?.max_payload ?? Infinity;
    },
    inbox: () => client.createInbox(),
  };
}
