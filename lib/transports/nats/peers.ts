import type * as JetStream from '@nats-io/jetstream';
import type * as TransportNode from '@nats-io/transport-node';
import { loadPeer } from '../../errors/optional-peer.js';

/** The functions of the client that are used here. */
export interface NatsClient {
  readonly connect: typeof TransportNode.connect;
  readonly createInbox: typeof TransportNode.createInbox;
  readonly credsAuthenticator: typeof TransportNode.credsAuthenticator;
  readonly jetstreamManager: typeof JetStream.jetstreamManager;
}

/** The only place that loads the client, when the first connection is made: its packages are optional peers. */
export async function loadNats(): Promise<NatsClient> {
  const node = unwrap(await load('@nats-io/transport-node', () => import('@nats-io/transport-node')));
  const { jetstreamManager } = unwrap(await load('@nats-io/jetstream', () => import('@nats-io/jetstream')));
  const { connect, createInbox, credsAuthenticator } = node;
  return { connect, createInbox, credsAuthenticator, jetstreamManager };
}

function load<T>(name: string, loading: () => Promise<T>): Promise<T> {
  return loadPeer({ name, range: '^3', neededBy: 'The NATS transport' }, loading);
}

/** A CommonJS module can hide behind `default` where it is imported as an ES module. */
function unwrap<T extends object>(loaded: T & { default?: T }): T {
  return loaded.default ?? loaded;
}
