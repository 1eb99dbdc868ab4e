/**
 * What application code threw or returned, as something that can be looked at: itself, or an Error in the place of a value that throws
 * at the look (a Proxy, a broken chain of prototypes). `instanceof` is safe on the result, its properties need not be.
 */
export function thrownValue(thrown: unknown): unknown {
  try {
    void (thrown instanceof Error);
    return thrown;
  } catch {
    return new Error('a thrown value that cannot be looked at');
  }
}

/** A text of a thrown value, such as its stack; undefined where it is none, or reading it throws. */
export function textIn(read: () => unknown): string | undefined {
  try {
    const value = read();
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
