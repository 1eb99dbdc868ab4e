import type { INestApplicationContext } from '@nestjs/common';
import { explorerOf } from '../asyncapi/asyncapi.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { partsOf, type Topology } from '../transport/topology.js';
import type { Transport } from '../transport/transport.js';

/** What one connection of an application wants on its broker. */
export interface ConnectionTopologies {
  readonly connection: string;
  readonly service: string;
  readonly transport: Transport;
  /** Another one of the same options. */
  readonly makeTransport: () => Transport;
  readonly topologies: readonly Topology[];
  /** Subscriptions whose queue is of each process alone, which makes it. */
  readonly ofProcesses: readonly string[];
}

/** @throws InvalidOptionError for a connection that is not there, and what makes a subscription impossible */
export function topologiesOf(app: INestApplicationContext, connection?: string): readonly ConnectionTopologies[] {
  const explorer = explorerOf(app);
  const all = explorer.connections();
  const chosen = connection === undefined ? all : all.filter((one) => one.connection === connection);
  if (chosen.length === 0)
    throw new InvalidOptionError(
      'connection',
      connection,
      `one of: ${all.map((one) => one.connection).join(', ') || 'there is none'}`,
    );
  return chosen.map((messaging) => {
    const { service, transport, makeTransport } = messaging.described;
    const definitions = messaging.consumes ? explorer.queues(messaging) : [];
    const others = messaging.foreign.flatMap((foreign) => foreign.topologies());
    return {
      connection: messaging.connection,
      service,
      transport,
      makeTransport,
      topologies: [...definitions.map(({ topology }) => topology), ...others]
        .map((topology) => ({ ...topology, provision: true }))
        .filter(({ exclusive }) => exclusive === undefined)
        .flatMap((topology) => [topology, ...partsOf(topology)]),
      ofProcesses: definitions.flatMap(({ name, topology }) => (topology.exclusive ? [name] : [])),
    };
  });
}
