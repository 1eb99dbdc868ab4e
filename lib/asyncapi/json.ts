/** An object of JSON. */
export type Json = Readonly<Record<string, unknown>>;

/** Whether this is an object, and no array. */
export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A name as a part of a JSON pointer in a URI. */
export function pointerTo(...names: readonly string[]): string {
  return `#/${names.map((name) => encodeURIComponent(name.replace(/~/g, '~0').replace(/\//g, '~1')).replace(/%3A/g, ':')).join('/')}`;
}

/** The name that a part of a JSON pointer stands for; who wrote it by hand may have left a bare `%`. */
export function unpointed(part: string): string {
  let decoded = part;
  try {
    decoded = decodeURIComponent(part);
  } catch {
    // It is meant as it is.
  }
  return decoded.replace(/~1/g, '/').replace(/~0/g, '~');
}

/** A map with its keys in order. */
export function ordered<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  return Object.fromEntries([...entries].sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** Without what is undefined, at any depth, as JSON has it. */
export function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
