import { InvalidResultError } from './handling-errors.js';

/** What a function of the application gave in place of a text; undefined: none. A number is taken as its text. @throws InvalidResultError */
export function textResult(source: string, value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value;
  if (value === undefined || value === null) return undefined;
  if ((typeof value === 'number' && Number.isFinite(value)) || typeof value === 'bigint') return String(value);
  throw invalidResult(source, value, 'a text or a number; undefined or null for none');
}

/** @throws InvalidResultError */
export function booleanResult(source: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw invalidResult(source, value, 'true or false');
}

/** The error that says what `source` gave, by its type alone, and what it may give. */
export function invalidResult(source: string, value: unknown, allowed: string): InvalidResultError {
  return new InvalidResultError(`${source} gave ${typeOfResult(value)}; allowed: ${allowed}`);
}

/** Its type, in words. A promise is left alone: nobody waits for it, and its failure must not end the process. */
export function typeOfResult(value: unknown): string {
  const type = typeOf(value);
  if (type === 'a promise') void Promise.resolve(value).catch(() => {});
  return type;
}

function typeOf(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return 'a text';
    case 'number':
      return Number.isFinite(value) ? 'a number' : String(value);
    case 'function':
      return 'a function';
    case 'object':
      return value === null ? 'null' : objectType(value);
    case 'undefined':
      return 'undefined';
    default:
      return `a ${typeof value}`;
  }
}

function objectType(value: object): string {
  try {
    if (typeof (value as PromiseLike<unknown>).then === 'function') return 'a promise';
    return Array.isArray(value) ? 'an array' : 'an object';
  } catch {
    return 'an object';
  }
}
