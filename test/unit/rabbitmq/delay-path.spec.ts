import { describe, expect, it } from '@jest/globals';
import { bandOf, delayLevels, MAX_DELAY_MS } from '../../../lib/transports/rabbitmq/delay-path.js';
import {
  delayEdges,
  delayEnds,
  delayLevelQueues,
  pathHeaders,
} from '../../../lib/transports/rabbitmq/delay-topology.js';
import { namesOf } from '../../../lib/transports/rabbitmq/names.js';
import type { Operation } from '../../../lib/transports/rabbitmq/operations.js';

const sum = (levels: readonly number[]): number => levels.reduce((total, level) => total + 2 ** level, 0);

/** Every power of two with its neighbours, and a few hundred between. */
const delays = [
  ...Array.from({ length: 32 }, (_, n) => [2 ** n - 1, 2 ** n, 2 ** n + 1]).flat(),
  ...Array.from({ length: 400 }, (_, n) => Math.floor(1.0567 ** n)),
  0.2,
  MAX_DELAY_MS,
].filter((delay) => delay > 0 && delay <= MAX_DELAY_MS);

describe('the path of a delay', () => {
  it('is never shorter than the delay, and longer by less than 0.2 % or 8 ms', () => {
    for (const delay of delays) {
      const walked = sum(delayLevels(delay));
      expect(walked).toBeGreaterThanOrEqual(delay);
      expect(walked - delay).toBeLessThanOrEqual(Math.max(8, delay / 500));
    }
  });

  it('has ten hops at most, each shorter than the one before, all in the band of the first', () => {
    for (const delay of delays) {
      const levels = delayLevels(delay);
      expect(levels.length).toBeGreaterThan(0);
      expect(levels.length).toBeLessThanOrEqual(10);
      expect(levels).toEqual([...new Set(levels)].sort((a, b) => b - a));
      expect(bandOf(levels[0])).toEqual(expect.arrayContaining(levels));
    }
  });

  it('reads 104 ms as 64 + 32 + 8', () => {
    expect(delayLevels(104)).toEqual([6, 5, 3]);
    expect(pathHeaders([6, 5, 3])).toEqual({
      'messaging-delay': '6',
      'messaging-delay-6': '5',
      'messaging-delay-5': '3',
      'messaging-delay-3': 'due',
    });
  });

  it('exists on the broker, for every delay, from the entry to the end', () => {
    const names = namesOf('x');
    for (const delay of delays) {
      const levels = delayLevels(delay);
      const band = bandOf(levels[0]);
      const operations = [...delayEnds(names), ...delayLevelQueues(band, names), ...delayEdges(band, names)];
      expect(walk(operations, pathHeaders(levels))).toEqual([...levels.map((level) => `x.delay.${level}`), 'x.due']);
    }
  });

  it('nothing is bound before both of its ends are declared', () => {
    const names = namesOf('x');
    const band = bandOf(19);
    const seen = new Set<string>();
    for (const operation of [...delayEnds(names), ...delayLevelQueues(band, names), ...delayEdges(band, names)]) {
      if (operation.kind === 'exchange' || operation.kind === 'queue') seen.add(`${operation.kind} ${operation.name}`);
      if (operation.kind === 'binding') {
        expect(seen).toContain(`queue ${operation.queue}`);
        expect(seen).toContain(`exchange ${operation.exchange}`);
      }
      if (operation.kind === 'exchange-binding') {
        expect(seen).toContain(`exchange ${operation.source}`);
        expect(seen).toContain(`exchange ${operation.destination}`);
      }
    }
  });
});

/** Follows the headers as the broker would: the queues passed, and where it ends. */
function walk(operations: readonly Operation[], headers: Record<string, string>): string[] {
  const passed: string[] = [];
  let at = 'x.delay';
  for (;;) {
    const targets = operations.flatMap((operation) => {
      const [source, target] =
        operation.kind === 'binding'
          ? [operation.exchange, operation.queue]
          : operation.kind === 'exchange-binding'
            ? [operation.source, operation.destination]
            : [];
      if (source !== at || target === undefined || !('arguments' in operation)) return [];
      const { 'x-match': match, ...wanted } = operation.arguments as Record<string, string>;
      return match === 'all' && Object.entries(wanted).every(([name, value]) => headers[name] === value)
        ? [target]
        : [];
    });
    if (targets.length === 0) return passed;
    expect(targets).toHaveLength(1);
    at = targets[0];
    passed.push(at);
  }
}
