import { compilePattern, wordsOf } from '../../transport/topic-pattern.js';
import type { Topology } from '../../transport/topology.js';
import type { IncomingRecord } from './client-port.js';
import { routeOfRecord } from './codec.js';

/** Patterns are held against the route of a record when it is read; what is sent to the queue by its name is always taken. */
export function takenBy(
  { patterns }: Pick<Topology, 'patterns'>,
  queueTopic: string,
): (record: IncomingRecord) => boolean {
  const matchers = patterns.map(compilePattern);
  return (record) => {
    if (record.topic === queueTopic) return true;
    const words = wordsOf(routeOfRecord(record));
    return matchers.some((matches) => matches(words));
  };
}
