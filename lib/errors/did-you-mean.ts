/** A name that differs by more is another one: a third of its letters, and at least one. */
const mostEdits = (name: string): number => Math.max(1, Math.floor(name.length / 3));

/** Names of `known` that `name` may be a typing error of, nearest first; at most `most`. Capitals are not told apart. */
export function near(name: string, known: Iterable<string>, most = 1): string[] {
  const wanted = name.toLowerCase();
  const found: { readonly candidate: string; readonly edits: number }[] = [];
  for (const candidate of known) {
    const edits = editsBetween(wanted, candidate.toLowerCase(), mostEdits(name));
    if (edits <= mostEdits(name)) found.push({ candidate, edits });
  }
  found.sort((one, other) => one.edits - other.edits);
  return found.slice(0, most).map(({ candidate }) => candidate);
}

/** « Did you mean «…»?», or nothing where no name is near. */
export function didYouMean(name: string, known: Iterable<string>, most = 1): string {
  const names = near(name, known, most).map((one) => `«${one}»`);
  return names.length === 0 ? '' : `. Did you mean ${names.join(' or ')}?`;
}

/**
 * How many letters have to be put in, left out, replaced or swapped with their neighbour: the optimal string alignment
 * distance, by the algorithm of Wagner and Fischer (1974) as extended by Lowrance and Wagner (1975). More than `most` is
 * not counted exactly.
 */
export function editsBetween(one: string, other: string, most = Infinity): number {
  if (Math.abs(one.length - other.length) > most) return Infinity;
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      const replaced = last[j - 1] + Number(one[i - 1] !== other[j - 1]);
      row[j] = Math.min(replaced, last[j] + 1, row[j - 1] + 1);
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      if (swapped) row[j] = Math.min(row[j], beforeLast[j - 2] + 1);
    }
    [beforeLast, last] = [last, row];
  }
  return last[other.length];
}
