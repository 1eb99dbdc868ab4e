/** Tells whether the words of a route are meant by a pattern. */
export type PatternMatcher = (words: readonly string[]) => boolean;

/** The words of a route or pattern. As in AMQP the empty string has none, and an empty word between two dots is a word. */
export function wordsOf(text: string): readonly string[] {
  return text === '' ? [] : text.split('.');
}

/** True when the pattern holds a wildcard, so that it can mean more than the route of the same spelling. */
export function hasWildcard(pattern: string): boolean {
  return wordsOf(pattern).some((word) => word === '*' || word === '#');
}

/** Prepares a pattern with AMQP's wildcards for many comparisons: `*` stands for one word, `#` for zero or more. */
export function compilePattern(pattern: string): PatternMatcher {
  const parts = wordsOf(pattern).filter((word, at, all) => word !== '#' || all[at - 1] !== '#');
  const firstHash = parts.indexOf('#');
  if (firstHash < 0) return (words) => words.length === parts.length && matchesAt(parts, words, 0);
  if (parts.length === 1) return () => true;
  if (firstHash === parts.length - 1) {
    const prefix = parts.slice(0, -1);
    return (words) => words.length >= prefix.length && matchesAt(prefix, words, 0);
  }
  return (words) => matchesWithHashes(parts, words);
}

/** Compares once. Use `compilePattern` where one pattern meets many routes. */
export function matchesPattern(pattern: string, route: string): boolean {
  return compilePattern(pattern)(wordsOf(route));
}

/** Whether some route fits both patterns. */
export function overlap(one: string, other: string): boolean {
  return meet(wordsOf(one), wordsOf(other));
}

function matchesWord(part: string, word: string): boolean {
  return part === '*' || part === word;
}

function matchesAt(parts: readonly string[], words: readonly string[], start: number): boolean {
  for (let at = 0; at < parts.length; at++) {
    if (!matchesWord(parts[at], words[start + at])) return false;
  }
  return true;
}

/** Goes back to the last `#` only, which suffices: an earlier one could take no words that the last one cannot. */
function matchesWithHashes(parts: readonly string[], words: readonly string[]): boolean {
  let part = 0;
  let word = 0;
  let hash = -1;
  let taken = 0;
  while (word < words.length) {
    if (parts[part] === '#') {
      hash = part++;
      taken = word;
    } else if (part < parts.length && matchesWord(parts[part], words[word])) {
      part++;
      word++;
    } else if (hash >= 0) {
      part = hash + 1;
      word = ++taken;
    } else {
      return false;
    }
  }
  while (parts[part] === '#') part++;
  return part === parts.length;
}

/** Row by row over the words of the one pattern: after which words of the other can it be fulfilled so far. */
function meet(one: readonly string[], other: readonly string[]): boolean {
  const same = (a: string, b: string): boolean => a === b || a === '*' || b === '*';
  let reached = [true];
  for (const [at, word] of other.entries()) reached[at + 1] = reached[at] && word === '#';
  for (const part of one) {
    const next = [reached[0] && part === '#'];
    for (const [at, word] of other.entries()) {
      next[at + 1] =
        part === '#'
          ? reached[at + 1] || next[at]
          : word === '#'
            ? next[at] || reached[at + 1] || reached[at]
            : reached[at] && same(part, word);
    }
    reached = next;
  }
  return reached[other.length];
}
