/** The name of the connection that has none. */
export const DEFAULT_CONNECTION = 'default';

export type ConnectionToken<T = unknown> = symbol | (abstract new (...args: never[]) => T);

/** What a connection provides of a class is injected by this: the class itself for the default connection. */
export function connectionToken<T>(
  type: abstract new (...args: never[]) => T,
  connection: string = DEFAULT_CONNECTION,
): ConnectionToken<T> {
  return connection === DEFAULT_CONNECTION ? type : Symbol.for(`nestjs-messaging:${type.name}:${connection}`);
}
