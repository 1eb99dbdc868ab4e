import { jetstreamManager, type JetStreamManager, type JetStreamManagerOptions } from '@nats-io/jetstream';
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';

const open = new Set<NatsConnection>();

/** A plain client of a server; `closePlain` closes it, however the test ended. */
export async function connectPlain(servers: string, options: NodeConnectionOptions = {}): Promise<NatsConnection> {
  const connection = await connect({ ...options, servers });
  open.add(connection);
  return connection;
}

/** A plain client for the management of streams and consumers. */
export async function managerOf(servers: string, options: JetStreamManagerOptions = {}): Promise<JetStreamManager> {
  return jetstreamManager(await connectPlain(servers), options);
}

export async function closePlain(): Promise<void> {
  const connections = [...open];
  open.clear();
  await Promise.all(connections.map((connection) => connection.close()));
}
