import { compilePattern, wordsOf } from '../../transport/topic-pattern.js';
import type { Topology } from '../../transport/topology.js';
import type { IncomingRecord } from './client-port.js';
import { routeOfRecord } from './codec.js';

/** Routes that were looked at: mostly the same few come again and again. */
const MOST_KNOWN = 1_000;

/** Patterns are held against the route of a record when it is read; what is sent to the queue by its name is always taken. */
export function takenBy(
  { patterns }: Pick<Topology, 'patterns'>,
  queueTopic: string,
): (record: IncomingRecord) => boolean {
  const matchers = patterns.map(compilePattern);
  const known = new Map<string, boolean>();
  return (record) => {
    if (record.topic === queueTopic) return true;
    const route = routeOfRecord(record);
    let isTaken = known.get(route);
    if (isTaken === undefined) {
      const words = wordsOf(route);
      isTaken = matchers.some((matches) => matches(words));
      if (known.size < MOST_KNOWN) known.set(route, isTaken);
    }
    return isTaken;
  };
}
