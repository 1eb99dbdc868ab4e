import { describe, expect, it } from '@jest/globals';
import { TopicExchange } from '../../../lib/transports/memory/exchange.js';
import { matchesPattern, wordsOf } from '../../../lib/transport/topic-pattern.js';

/** The definition, written down without a thought for speed. */
function reference(pattern: readonly string[], words: readonly string[]): boolean {
  const [part, ...rest] = pattern;
  if (part === undefined) return words.length === 0;
  if (part === '#') return reference(rest, words) || (words.length > 0 && reference(pattern, words.slice(1)));
  return words.length > 0 && (part === '*' || part === words[0]) && reference(rest, words.slice(1));
}

function seededRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('topic patterns', () => {
  it.each([
    ['order.created', 'order.created', true],
    ['order.created', 'order.created.eu', false],
    ['order.*', 'order.created', true],
    ['order.*', 'order', false],
    ['order.*', 'order.created.eu', false],
    ['order.#', 'order', true],
    ['order.#', 'order.created.eu', true],
    ['order.#', 'orders', false],
    ['#', '', true],
    ['#', 'a.b.c', true],
    ['*', '', false],
    ['', '', true],
    ['#.created', 'order.created', true],
    ['#.created', 'created', true],
    ['order.#.eu', 'order.eu', true],
    ['*.#.eu', 'eu', false],
    ['a.#.b.#.c', 'a.b.b.x.c', true],
    ['*', 'a.', false],
    ['a.*', 'a.', true],
    ['or*', 'order', false],
    ['a.#.#.b', 'a.b', true],
  ])('%s on %s: %s', (pattern, route, expected) => {
    expect(matchesPattern(pattern, route)).toBe(expected);
  });

  it('mean what the definition says, on fifty thousand random pairs', () => {
    const random = seededRandom(20_301);
    const word = (from: readonly string[]): string => from[random(from.length)];
    const text = (from: readonly string[]): string => Array.from({ length: random(7) }, () => word(from)).join('.');
    let matches = 0;
    for (let pair = 0; pair < 50_000; pair++) {
      const pattern = text(['a', 'b', '*', '#', '#']);
      const route = text(['a', 'b', 'c']);
      const expected = reference(wordsOf(pattern), wordsOf(route));
      if (expected) matches++;
      if (matchesPattern(pattern, route) !== expected)
        throw new Error(`«${pattern}» on «${route}» should be ${expected}`);
    }
    expect(matches).toBeGreaterThan(5_000);
  });

  it('stay fast where backtracking would explode', () => {
    const pattern = `${'#.a.'.repeat(30)}b`;
    expect(matchesPattern(pattern, 'a.'.repeat(2_000) + 'c')).toBe(false);
  });
});

describe('a topic exchange', () => {
  it('remembers the queues of a route until a binding changes', () => {
    const exchange = new TopicExchange<string>();
    exchange.bind('a.*', 'one');
    expect(exchange.queuesFor('a.b')).toEqual(['one']);
    expect(exchange.queuesFor('a.b')).toBe(exchange.queuesFor('a.b'));
    exchange.bind('a.b', 'two');
    expect(new Set(exchange.queuesFor('a.b'))).toEqual(new Set(['one', 'two']));
    exchange.unbind('a.*', 'one');
    expect(exchange.queuesFor('a.b')).toEqual(['two']);
    exchange.unbindAll('two');
    expect(exchange.queuesFor('a.b')).toEqual([]);
  });

  it('finds the right queues for more routes than it remembers', () => {
    const exchange = new TopicExchange<string>();
    exchange.bind('a.#', 'all');
    const routes = Array.from({ length: 25_000 }, (_, at) => `a.${at}`);
    expect(routes.every((route) => exchange.queuesFor(route)[0] === 'all')).toBe(true);
  });
});
