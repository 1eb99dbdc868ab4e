/** `TEST_BROKERS`: empty for all, `none`, or names separated by commas. Why this broker is left out, if it is. */
export function reasonNotSelected(broker: string): string | undefined {
  const selection = process.env.TEST_BROKERS?.trim();
  if (!selection) return undefined;
  return namesIn(selection).includes(broker) ? undefined : `TEST_BROKERS=${selection}`;
}

/**
 * The versions that a variable asks for, in the order of `known` (oldest first): empty for the oldest and the newest,
 * `all`, or names separated by commas. Throws for a name that is not known.
 */
export function selectedVersions<T extends string>(variable: string, known: readonly T[]): T[] {
  const selection = process.env[variable]?.trim();
  if (!selection) return known.filter((_, at) => at === 0 || at === known.length - 1);
  const names = namesIn(selection);
  if (names.includes('all')) return [...known];
  const unknown = names.find((name) => !known.some((version) => version === name));
  if (unknown !== undefined) throw new Error(`${variable} takes all, ${known.join(', ')}; not «${unknown}»`);
  return known.filter((version) => names.includes(version));
}

function namesIn(selection: string): string[] {
  return selection.split(',').map((name) => name.trim().toLowerCase());
}
