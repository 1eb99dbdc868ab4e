import { TopologyMismatchError } from '../errors/configuration-errors.js';
import type { Json } from '../asyncapi/json.js';
import { connectOnce } from '../transport/connect-once.js';
import type { PlannedEntry, TopologyPlan } from '../transport/provisioning.js';
import type { Topology } from '../transport/topology.js';
import type { Transport } from '../transport/transport.js';
import type { ConnectionTopologies } from './application-topologies.js';

/**
 * The plan of a transport that has none of its own: what its check without `provision` says of each queue. Made by a
 * declaration, as at the start of the application.
 */
export async function checkedPlan(
  { transport, service, topologies, makeTransport }: ConnectionTopologies,
  timeoutMs: number,
  warn: (message: string) => void,
): Promise<TopologyPlan> {
  if (!transport.capabilities.durable)
    return { entries: [], unseen: [`What ${transport.system} has ends with its process: there is nothing to plan`] };
  const declare = async (topology?: Topology): Promise<void> => {
    const making = makeTransport();
    try {
      await connectOnce(making, { service, timeoutMs, warn, provision: true });
      if (topology) await making.declare(topology);
    } finally {
      await making.close();
    }
  };
  const unseen = [
    `${transport.system} is asked for what there is by the names of queues; which routes lead to them is compared by a start only. What is applied is declared as by a start, which takes away routes that the service had declared before, and does not any more, while nobody consumes the queue`,
  ];
  try {
    await connectOnce(transport, { service, timeoutMs, warn });
  } catch (error) {
    if (!(error instanceof TopologyMismatchError)) throw error;
    const base: PlannedEntry = {
      action: 'add',
      kind: 'base',
      name: transport.host,
      note: error.message,
      apply: () => declare(),
    };
    const queues = topologies.map((one): PlannedEntry => ({
      ...named(one),
      action: 'add',
      ...madeWith(transport, one),
      apply: () => declare(one),
    }));
    return { entries: [base, ...queues], unseen };
  }
  const entries: PlannedEntry[] = [];
  for (const topology of topologies) {
    const lack = await lackOf(() => transport.declare(topology));
    if (lack === undefined) continue;
    const isOther = await isOtherwise(transport, topology);
    entries.push(
      isOther
        ? { ...named(topology), action: 'refuse', note: lack }
        : {
            ...named(topology),
            action: 'add',
            ...madeWith(transport, topology),
            note: lack,
            apply: () => declare(topology),
          },
    );
  }
  return { entries, unseen };
}

function named({ queue }: Topology): { readonly kind: string; readonly name: string } {
  return { kind: 'queue', name: queue };
}

/** In the words of the broker, as documents have them. */
function madeWith({ description }: Transport, topology: Topology): Pick<PlannedEntry, 'wanted'> {
  const { bindings = {}, details } = description?.queue?.(topology, topology.queue) ?? {};
  const { bindingVersion: _, ...wanted } = Object.assign({}, ...Object.values(bindings), details) as Json;
  return Object.keys(wanted).length > 0 ? { wanted } : {};
}

async function isOtherwise({ queues }: Transport, topology: Topology): Promise<boolean> {
  return queues !== undefined && (await lackOf(() => queues.compare([topology]))) !== undefined;
}

async function lackOf(check: () => Promise<void>): Promise<string | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    if (error instanceof TopologyMismatchError) return error.message;
    throw error;
  }
}
