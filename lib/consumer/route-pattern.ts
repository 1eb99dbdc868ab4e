/** Whether a route fits a pattern: `*` is one word, `#` none or more. */
export function matches(pattern: string, route: string): boolean {
  return fits(pattern.split('.'), route.split('.'), false);
}

/** Whether some route fits both patterns. */
export function overlap(one: string, other: string): boolean {
  return fits(one.split('.'), other.split('.'), true);
}

/**
 * Row by row over the words of the pattern: after which words of the other text can it be fulfilled so far. `both`: the
 * other is a pattern, too.
 */
function fits(pattern: readonly string[], words: readonly string[], both: boolean): boolean {
  const many = (word: string): boolean => both && word === '#';
  const same = (one: string, other: string): boolean => one === other || one === '*' || (both && other === '*');
  let reached = [true];
  for (const [at, word] of words.entries()) reached[at + 1] = reached[at] && many(word);
  for (const part of pattern) {
    const next = [reached[0] && part === '#'];
    for (const [at, word] of words.entries()) {
      next[at + 1] =
        part === '#'
          ? reached[at + 1] || next[at]
          : many(word)
            ? next[at] || reached[at + 1] || reached[at]
            : reached[at] && same(part, word);
    }
    reached = next;
  }
  return reached[words.length];
}
