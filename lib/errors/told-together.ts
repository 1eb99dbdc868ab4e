import { TopologyMismatchError } from './configuration-errors.js';

/** Waits for all. @throws the first error; of several mismatches one that tells them all, a line each */
export async function toldTogether<T extends readonly unknown[]>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const results = await Promise.allSettled(promises);
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
  if (errors.length > 1 && errors.every((error) => error instanceof TopologyMismatchError))
    throw new TopologyMismatchError([...new Set(errors.map(({ message }) => message))].join('\n'));
  if (errors.length > 0) throw errors[0];
  return Promise.all(promises);
}
