import { describe, expect, it } from '@jest/globals';
import { bandOf, delayLevels, MAX_DELAY_MS } from '../../../lib/transports/rabbitmq/topology/delay-path.js';
import { delayBands, delayEnds, pathHeaders } from '../../../lib/transports/rabbitmq/topology/delay-topology.js';
import { namesOf } from '../../../lib/transports/rabbitmq/names.js';
import { inStages, type Operation } from '../../../lib/transports/rabbitmq/topology/operations.js';

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
      const operations = [...delayEnds(names), ...delayBands([levels[0]], names).flat()];
      expect(walk(operations, pathHeaders(levels))).toEqual([...levels.map((level) => `x.delay.${level}`), 'x.due']);
    }
  });

  describe('of several bands', () => {
    const names = namesOf('x');
    const stages = delayBands([19, 12, 20], names);

    it('nothing is bound before both of its ends are declared, whatever the order within a stage', () => {
      const seen = new Set<string>(delayEnds(names).flatMap(declared));
      for (const stage of stages) {
        for (const operation of stage) for (const end of ends(operation)) expect(seen).toContain(end);
        for (const end of stage.flatMap(declared)) seen.add(end);
      }
    });

    it('there is no way in before all is there, and nothing is declared twice', () => {
      const isWayIn = (one: Operation): boolean => one.kind === 'binding' && one.exchange === 'x.delay';
      expect(stages.map((stage) => stage.filter(isWayIn).length)).toEqual([0, 0, 3]);
      const all = stages.flat().map((one) => JSON.stringify(one));
      expect(new Set(all).size).toBe(all.length);
      expect(stages[0].filter(({ kind }) => kind === 'queue')).toHaveLength(new Set([19, 12, 20].flatMap(bandOf)).size);
    });
  });
});

describe('what is declared in stages', () => {
  const queues = (count: number): Operation[] =>
    Array.from({ length: count }, (_, at) => ({ kind: 'queue', name: `q${at}`, arguments: {} }));

  it.each([0, 1, 7, 8, 9, 34, 115])('has each of %i operations once, in at most 8 shares', async (count) => {
    const shares: (readonly Operation[])[] = [];
    await inStages([queues(count)], async (share) => void shares.push(share));
    expect(shares.flat()).toEqual(queues(count));
    expect(shares.length).toBeLessThanOrEqual(8);
  });

  it('begins no stage before the one before has ended, and none after one that failed in part', async () => {
    const told: string[] = [];
    const run = async (share: readonly Operation[]): Promise<void> => {
      told.push('begins');
      await Promise.resolve();
      told.push('ends');
      if (share.some((one) => one.kind === 'queue' && one.name === 'q1')) throw new Error('refused');
    };
    await expect(inStages([queues(1), queues(3), queues(1)], run)).rejects.toThrow('refused');
    expect(told).toEqual(['begins', 'ends', 'begins', 'begins', 'begins', 'ends', 'ends', 'ends']);
  });
});

/** What an operation declares, as `ends` names it. */
function declared(operation: Operation): string[] {
  return operation.kind === 'exchange' || operation.kind === 'queue' ? [`${operation.kind} ${operation.name}`] : [];
}

/** What a binding is between. */
function ends(operation: Operation): string[] {
  if (operation.kind === 'binding') return [`queue ${operation.queue}`, `exchange ${operation.exchange}`];
  if (operation.kind === 'exchange-binding')
    return [`exchange ${operation.source}`, `exchange ${operation.destination}`];
  return [];
}

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
