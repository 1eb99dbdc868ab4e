import { InvalidOptionError } from './configuration-errors.js';

const MAX_NAME_BYTES = 255;

/** A name of a queue, topic or route: what AMQP's short string holds. */
export function checkShortText(option: string, value: unknown): string {
  if (typeof value !== 'string' || value === '' || Buffer.byteLength(value) > MAX_NAME_BYTES || value.includes('\0')) {
    throw new InvalidOptionError(option, value, `a text of 1 to ${MAX_NAME_BYTES} bytes`);
  }
  return value;
}

/** A part of a queue name; «:» separates the parts. */
export function checkName(option: string, value: unknown): string {
  if (checkShortText(option, value).includes(':'))
    throw new InvalidOptionError(option, value, 'a text without «:», which separates the parts of a queue name');
  return value as string;
}

/** A route or pattern: words separated by dots; `*` and `#` stand alone as a word. */
export function checkPattern(option: string, value: unknown): string {
  const pattern = checkShortText(option, value);
  const words = pattern.split('.');
  if (words.some((word) => word === '' || (word.length > 1 && /[*#]/.test(word)))) {
    throw new InvalidOptionError(
      option,
      value,
      'words separated by dots, where «*» (one word) and «#» (zero or more) stand alone',
    );
  }
  return pattern;
}

export function integerBetween(option: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw new InvalidOptionError(option, value, `a whole number from ${min} to ${max}`);
  }
  return value;
}

export function numberBetween(option: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max) {
    throw new InvalidOptionError(option, value, `a number from ${min} to ${max}`);
  }
  return value;
}

export function oneOf<T extends string>(option: string, value: unknown, allowed: readonly T[]): T {
  if (!allowed.includes(value as T))
    throw new InvalidOptionError(option, value, allowed.map((one) => `'${one}'`).join(' | '));
  return value as T;
}

export function checkBoolean(option: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new InvalidOptionError(option, value, 'true or false');
  return value;
}

export function functions<T>(option: string, value: readonly T[], allowed = 'an array of functions'): readonly T[] {
  const array: unknown = value;
  if (!Array.isArray(array) || array.some((one) => typeof one !== 'function'))
    throw new InvalidOptionError(option, value, allowed);
  return value;
}

/** Most names that are not known are typing errors, and would be ignored in silence. */
export function knownKeys(option: string, value: object, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null) throw new InvalidOptionError(option, value, 'an object');
  for (const key of Object.keys(value)) {
    // Its value is not told: it may be a secret in the wrong place.
    if (!known.includes(key))
      throw new InvalidOptionError(
        `${option}.${key}`,
        undefined,
        `nothing of that name; there are: ${known.join(', ')}`,
      );
  }
}
