import type * as JetStream from '@nats-io/jetstream';
import type * as TransportNode from '@nats-io/transport-node';
import { loadPeer } from '../../../errors/optional-peer.js';

/** What connections and plain messages need of the client. */
export type NatsCore = Pick<typeof TransportNode, 'connect' | 'createInbox' | 'credsAuthenticator' | 'headers'>;

/** The core client, and what makes JetStream of a connection. */
export type NatsClient = NatsCore & Pick<typeof JetStream, 'jetstreamManager'>;

/** The client is loaded when the first connection is made: its packages are optional peers. */
export async function loadNatsCore(neededBy: string): Promise<NatsCore> {
  const peer = { name: '@nats-io/transport-node', range: '^3', neededBy };
  return unwrap(await loadPeer(peer, () => import('@nats-io/transport-node')));
}

/** The same, with JetStream. */
export async function loadNats(): Promise<NatsClient> {
  const neededBy = 'The NATS transport';
  const { connect, createInbox, credsAuthenticator, headers } = await loadNatsCore(neededBy);
  const peer = { name: '@nats-io/jetstream', range: '^3', neededBy };
  const { jetstreamManager } = unwrap(await loadPeer(peer, () => import('@nats-io/jetstream')));
  return { connect, createInbox, credsAuthenticator, headers, jetstreamManager };
}

/** A CommonJS module can hide behind `default` where it is imported as an ES module. */
function unwrap<T extends object>(loaded: T & { default?: T }): T {
  return loaded.default ?? loaded;
}
