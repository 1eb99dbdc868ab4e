import { wordOf } from '../names.js';

/** Subjects below a topic's token that take every route of a pattern, perhaps more. */
export function filtersOf(topicToken: string, pattern: string): string[] {
  const words = pattern.split('.');
  const hash = words.indexOf('#');
  const known = (hash < 0 ? words : words.slice(0, hash)).map((word) => (word === '*' ? word : wordOf(word)));
  const prefix = [topicToken, ...known].join('.');
  if (hash < 0) return [prefix];
  const mayEnd = known.length > 0 && words.slice(hash).every((word) => word === '#');
  return mayEnd ? [prefix, `${prefix}.>`] : [`${prefix}.>`];
}

/** Filters that together take at least what the given ones take; two that go `together` become one. */
export function union(filters: readonly string[], together: (one: string, other: string) => boolean): string[] {
  const result: string[] = [];
  for (let filter of filters) {
    for (;;) {
      const at = result.findIndex((other) => together(other, filter));
      if (at < 0) break;
      const [other] = result.splice(at, 1);
      filter = covers(other, filter) ? other : covers(filter, other) ? filter : narrowest(filter, other);
    }
    result.push(filter);
  }
  return result.sort();
}

export function covers(wide: string, narrow: string): boolean {
  const [a, b] = [wide.split('.'), narrow.split('.')];
  for (const [at, token] of a.entries()) {
    if (token === '>') return b.length > at;
    if (at >= b.length || b[at] === '>') return false;
    if (token !== '*' && token !== b[at]) return false;
  }
  return a.length === b.length;
}

/** Some subject is taken by both. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [one.split('.'), other.split('.')];
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    if (a[at] === '>' || b[at] === '>') return true;
    if (a[at] !== '*' && b[at] !== '*' && a[at] !== b[at]) return false;
  }
  return a.length === b.length;
}

/**
 * One consumer must not have both. They overlap, which a server refuses, or they part at a wildcard or where one of them
 * ends (`a` and `a.>`, `*.b` and `a.c`): with such a pair NATS 2.10 skips messages, for ever.
 */
export function collide(one: string, other: string): boolean {
  const [a, b] = [one.split('.'), other.split('.')];
  const at = a.findIndex((token, index) => token !== b[index]);
  return at < 0 || at >= b.length || [a[at], b[at]].some((token) => token === '*' || token === '>');
}

/** The narrowest one filter for both. */
function narrowest(one: string, other: string): string {
  const [a, b] = [one.split('.'), other.split('.')];
  const tokens: string[] = [];
  for (let at = 0; ; at++) {
    if (at >= a.length && at >= b.length) break;
    if (at >= a.length || at >= b.length || a[at] === '>' || b[at] === '>') {
      // A filter that ends here has no token left for «>»: the one before goes as well.
      if (at >= a.length || at >= b.length) tokens.pop();
      tokens.push('>');
      break;
    }
    tokens.push(a[at] === b[at] ? a[at] : '*');
  }
  // The server takes no filter that is wider than one subject of the stream, but it takes none at all.
  return tokens[0] === '*' ? '>' : tokens.join('.');
}
