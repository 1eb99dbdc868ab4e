import type { Topology } from '../../../transport/topology.js';
import { topsOf } from './delay-bands.js';
import { delayBands, delayEnds, dueBinding } from './delay-topology.js';
import { exchangeOperations } from './exchanges.js';
import type { Names } from '../names.js';
import type { Operation } from './operations.js';
import type { Settings } from '../options.js';
import { topologyOperations } from './topology.js';

/** One thing that is to exist, for the first topology that wants it; undefined: the options of the transport do. */
export interface Wanted<O extends Operation = Operation> {
  readonly operation: O;
  readonly topology: Topology | undefined;
}

/** Everything that topologies need, each thing once, in an order in which nothing refers to what is not there yet. */
export function wantedOf(topologies: readonly Topology[], names: Names, settings: Settings): readonly Wanted[] {
  const wanted = new Map<string, Wanted>();
  const add = (operation: Operation, topology?: Topology): void => {
    if (!wanted.has(keyOf(operation))) wanted.set(keyOf(operation), { operation, topology });
  };
  for (const operation of exchangeOperations(settings.exchanges)) add(operation);
  const known = new Set<number>();
  for (const topology of topologies) {
    const own = topologyOperations(topology, names, settings);
    // A thousand subscriptions share a few bands, each of hundreds of operations.
    const tops = topsOf(topology).filter((top) => !known.has(top));
    for (const top of tops) known.add(top);
    const delays = [...delayEnds(names), dueBinding(topology.queue, names), ...delayBands(tops, names).flat()];
    for (const operation of [...own, ...delays]) add(operation, topology);
  }
  return [...wanted.values()];
}

/** Of a queue or exchange the name alone: what one is made with the next finds there. */
function keyOf(operation: Operation): string {
  const { kind } = operation;
  return kind === 'queue' || kind === 'exchange' ? `${kind} ${operation.name}` : JSON.stringify(operation);
}
