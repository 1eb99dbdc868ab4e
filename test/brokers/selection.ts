/** `TEST_BROKERS`: empty for all, `none`, or names separated by commas. Why this broker is left out, if it is. */
export function reasonNotSelected(broker: string): string | undefined {
  const selection = process.env.TEST_BROKERS?.trim();
  if (!selection) return undefined;
  const names = selection.split(',').map((name) => name.trim().toLowerCase());
  return names.includes(broker) ? undefined : `TEST_BROKERS=${selection}`;
}
