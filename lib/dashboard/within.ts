import type { Clock } from '../clock/clock.js';

/** What the function gives within so many milliseconds. @throws what it throws, and where it takes longer */
export async function within<T>(clock: Clock, ms: number, work: () => T | Promise<T>): Promise<T> {
  let cancel: (() => void) | undefined;
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(ms, () => reject(new Error(`Nothing within ${ms} ms`)), { background: true });
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    cancel!();
  }
}
