import { describe, expect, test } from '@jest/globals';
import { matchesPattern } from '../../../lib/transport/topic-pattern.js';
import { Binding, filtersFor, type QueueRecord } from '../../../lib/transports/nats/topology/binding.js';
import {
  deadLetterSubject,
  directSubject,
  namesOf,
  routeIn,
  topicPrefix,
  routeSubject,
  tokenOf,
} from '../../../lib/transports/nats/names.js';
import { covers } from '../../../lib/transports/nats/topology/patterns.js';

const names = namesOf('events');
const words = ['', 'a', 'b', 'a b', '*', '>', '%', '%41', '=', '=2E', 'Z\u00fcrich', '_x', '$JS', 'a/b'];
const routes = words.flatMap((first) => [first, ...words.map((second) => `${first}.${second}`)]);

describe('names', () => {
  test('different routes have different subjects, and each is found again', () => {
    const subjects = routes.map((route) => routeSubject('events', route));
    expect(new Set(subjects).size).toBe(new Set(routes).size);
    expect(subjects.map((subject) => routeIn(subject, topicPrefix('events')))).toEqual(routes);
    for (const subject of subjects) expect(subject).toMatch(/^[^\s*>]+$/);
  });

  test('different queues have different names that a server takes', () => {
    const long = 'x'.repeat(300);
    const queues = [...routes, long, `${long}y`, tokenOf(long), tokenOf('a.b')];
    const tokens = queues.map(tokenOf);
    expect(new Set(tokens).size).toBe(new Set(queues).size);
    for (const token of tokens) expect(token).toMatch(/^[^\s.*>/\\%]{1,255}$/);
  });

  test('no topic reaches what is private', () => {
    const own = [directSubject('q', names), deadLetterSubject('r', names), names.delayedSubject];
    for (const topic of ['events', '_events', '_events-delayed', '$JS'])
      for (const subject of own) expect(covers(`${tokenOf(topic)}.>`, subject)).toBe(false);
  });
});

describe('filters', () => {
  const patterns = ['a', 'a.b', 'a.*', '*.b', '#', 'a.#', '#.b', 'a.#.b', '*.#', '#.a.#', 'a.*.b', '*'];
  const samples = ['a', 'b', 'a.b', 'b.a', 'a.a.b', 'a.b.c', 'c.b', 'a.b.b', 'c.a.d'];
  const sets = patterns.flatMap((one) => patterns.map((other) => [...new Set([one, other, 'a.b.c'])]));
  const recordOf = (bound: readonly string[]): QueueRecord => ({
    queue: 'q',
    topic: 'events',
    patterns: Object.fromEntries(bound.map((pattern) => [pattern, 0])),
    routes: ['q'],
  });

  test.each([true, false])('take all that the patterns mean, and do not overlap (several: %s)', (several) => {
    for (const bound of sets) {
      const filters = filtersFor(recordOf(bound), names, several);
      if (!several) expect(filters).toHaveLength(1);
      for (const route of samples) {
        const subject = routeSubject('events', route);
        const wanted = bound.some((pattern) => matchesPattern(pattern, route));
        const taken = filters.filter((filter) => covers(filter, subject)).length;
        expect({ bound, route, taken }).toEqual({ bound, route, taken: wanted ? 1 : Math.min(taken, 1) });
      }
      const own = [directSubject('q', names), deadLetterSubject('q', names)];
      for (const subject of own) expect(filters.filter((filter) => covers(filter, subject))).toHaveLength(1);
    }
  });

  test('no two part at a wildcard, or where one of them ends: NATS 2.10 would skip messages', () => {
    for (const bound of sets) {
      const filters = filtersFor(recordOf(bound), names, true);
      for (const one of filters) {
        for (const other of filters.filter((filter) => filter !== one)) {
          const [a, b] = [one.split('.'), other.split('.')];
          const at = a.findIndex((token, index) => token !== b[index]);
          expect([a[at], b[at]].map((token) => /^[^*>]+$/.test(String(token)) && token !== undefined)).toEqual([
            true,
            true,
          ]);
        }
      }
    }
  });

  test('what they take too much of is told apart on receipt', () => {
    for (const bound of sets) {
      const binding = new Binding(recordOf(bound), names);
      for (const route of samples) {
        const wanted = bound.some((pattern) => matchesPattern(pattern, route));
        expect(binding.originOf(routeSubject('events', route), 1) !== undefined).toBe(wanted);
      }
      expect(binding.originOf(directSubject('other', names), 1)).toBeUndefined();
      expect(binding.originOf(routeSubject('topic', 'a'), 1)).toBeUndefined();
    }
  });

  test('an unbound pattern counts up to the message it was unbound at', () => {
    const binding = new Binding({ queue: 'q', topic: 'events', patterns: { a: 7, 'b.*': 9 }, routes: [] }, names);
    const takes = (route: string, sequence: number): boolean =>
      binding.originOf(routeSubject('events', route), sequence) !== undefined;
    expect([takes('a', 7), takes('a', 8), takes('b.c', 9), takes('b.c', 10)]).toEqual([true, false, true, false]);
  });
});
