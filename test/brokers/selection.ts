/** `TEST_BROKERS`: empty for all, `none`, or names separated by commas. Why this broker is left out, if it is. */
export function reasonNotSelected(broker: string): string | undefined {
  const selection = process.env.TEST_BROKERS?.trim();
  if (!selection) return undefined;
  return namesIn(selection).includes(broker) ? undefined : `TEST_BROKERS=${selection}`;
}

/**
 * The versions that a variable asks for (`TEST_VERSIONS` where it is empty), in the order of `known` (oldest first):
 * `newest` (the default), `oldest`, `all`, or names separated by commas. Throws for a name that is not known.
 */
export function selectedVersions<T extends string>(variable: string, known: readonly T[]): T[] {
  const selection = process.env[variable]?.trim() || process.env.TEST_VERSIONS?.trim() || 'newest';
  const names = namesIn(selection);
  const words = ['newest', 'oldest', 'all'];
  const unknown = names.find((name) => !words.includes(name) && !known.some((version) => version === name));
  if (unknown !== undefined) throw new Error(`${variable} takes ${[...words, ...known].join(', ')}; not «${unknown}»`);
  const asked = new Set(names);
  return known.filter(
    (version, at) =>
      asked.has('all') ||
      asked.has(version) ||
      (asked.has('oldest') && at === 0) ||
      (asked.has('newest') && at === known.length - 1),
  );
}

function namesIn(selection: string): string[] {
  return selection.split(',').map((name) => name.trim().toLowerCase());
}
