import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import { type ConnectionListeners, SupervisedConnection } from '../transports/kit/supervised-connection.js';
import { NatsDialer } from '../transports/nats/connection/dialer.js';
import { loadClient, type RequeueSettings } from './requeue-options.js';

const RECONNECT = { initial: 200, max: 2_000, jitter: 0.2 };

/** An open connection, and what is sent on it. */
export interface RequeueLink {
  readonly connection: NatsConnection;
  newHeaders(): MsgHdrs;
  /** A new subject that nobody else publishes to. */
  newInbox(): string;
}

/** Dialled as by the NATS transport: nothing is kept from one connection to the next. */
export function supervisedLink(
  { address, name, inboxPrefix, clock }: RequeueSettings,
  listeners: ConnectionListeners<RequeueLink>,
): SupervisedConnection<RequeueLink> {
  const dialer = new NatsDialer<RequeueLink>(address, name, clock, async (connection) => {
    const { headers, createInbox } = await loadClient();
    return { connection, newHeaders: () => headers(), newInbox: () => createInbox(inboxPrefix) };
  });
  return new SupervisedConnection(dialer, { clock, reconnect: RECONNECT, random: Math.random }, listeners);
}
