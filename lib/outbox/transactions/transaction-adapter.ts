import type { SqlClient } from '../../clients/sql-client.js';

/** How a transaction of one library is told from everything else, and used. */
export interface TransactionAdapter<T extends object> {
  /** The library, as errors name it. */
  readonly name: string;
  /** What to pass, as errors say it. */
  readonly wanted: string;
  /** Whether this is of that library: a transaction, or what one is begun with. */
  recognizes(value: object): value is T;
  /** Whether it is a transaction that can be used. `unknown`: the object does not tell, the server has to be asked. */
  state(value: T): TransactionState;
  /** Statements in it. */
  client(value: T): SqlClient;
}

export type TransactionState = 'open' | 'none' | 'finished' | 'unknown';

/** Whether the value has a function of each of these names. */
export function hasMethods(value: object, ...names: readonly string[]): boolean {
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

/** The rows of an answer, which is a list of them or has one. */
export function rowsOf(answer: unknown): readonly Readonly<Record<string, unknown>>[] {
  const rows: unknown = Array.isArray(answer) ? answer : (answer as { rows?: unknown } | undefined)?.rows;
  return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
}

/** `$1`, `$2`, … replaced by `?`, with the values in the order in which they are used. */
export function positional(text: string, values: readonly unknown[]): { text: string; values: unknown[] } {
  const used: unknown[] = [];
  const replaced = text.replace(/\?/g, '\\?').replace(/\$(\d+)/g, (_, number: string) => {
    used.push(values[Number(number) - 1]);
    return '?';
  });
  return { text: replaced, values: used };
}
