import { InvalidOptionError, NOT_SHOWN } from './configuration-errors.js';
import { didYouMean, near } from './did-you-mean.js';
import { printable } from './printable.js';
import { isSecretName, mayHoldSecret } from './secret-names.js';

const MAX_NAME_BYTES = 255;

/** A name of a queue, topic or route: what AMQP's short string holds. */
export function checkShortText(option: string, value: unknown): string {
  if (isShortText(value)) return value;
  throw new InvalidOptionError(option, value, `a text of 1 to ${MAX_NAME_BYTES} bytes`);
}

export function isShortText(value: unknown): value is string {
  return (
    typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= MAX_NAME_BYTES && !value.includes('\0')
  );
}

/** A part of a queue name; «:» separates the parts. */
export function checkName(option: string, value: unknown): string {
  if (checkShortText(option, value).includes(':'))
    throw new InvalidOptionError(option, value, 'a text without «:», which separates the parts of a queue name');
  return value as string;
}

/** A route: a name without spaces and what cannot be seen, which are typing errors, and which not every broker takes. */
export function checkRoute(option: string, value: unknown): string {
  const route = checkShortText(option, value);
  if (/\s/.test(route) || printable(route) !== route)
    throw new InvalidOptionError(option, printable(route), 'a text without spaces and control characters');
  return route;
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
  for (const [name, given] of Object.entries(value)) {
    if (!known.includes(name))
      throw new InvalidOptionError(
        pathOf(option, name),
        shown(name, given, known),
        `nothing of that name; there ${known.length > 0 ? `are: ${known.join(', ')}` : 'is none'}${didYouMean(name, known)}`,
      );
  }
}

/** Options of no group are called by their name alone. */
function pathOf(group: string, name: string): string {
  return group === '' ? name : `${group}.${name}`;
}

/** A text is only shown where it is clear what it was meant for, since it may be a secret in the wrong place. */
function shown(name: string, value: unknown, known: readonly string[]): unknown {
  if (isSecretName(name)) return NOT_SHOWN;
  if (typeof value !== 'string') return value;
  const [meant] = near(name, known);
  return meant === undefined || mayHoldSecret(name) || mayHoldSecret(meant) ? NOT_SHOWN : value;
}

/**
 * Refuses options that are given as `undefined`: an environment variable that is not set would mean the default in silence,
 * which for these is another place or another identity. `defaults` says what leaving each of them out means.
 */
export function refuseUndefined<O extends object>(
  option: string,
  options: O,
  defaults: Readonly<Partial<Record<keyof O & string, string>>>,
): void {
  for (const [name, meaning] of Object.entries(defaults) as [keyof O & string, string][]) {
    if (Object.hasOwn(options, name) && options[name] === undefined)
      throw new InvalidOptionError(
        pathOf(option, name),
        undefined,
        `a value, or leave it out for ${meaning}. Is an environment variable not set?`,
      );
  }
}

const UNSET = /^(undefined|null|)$/;

/**
 * Refuses an address whose host, user or password was put together from an environment variable that is not set:
 * `amqp://${USER}@${HOST}` without them. The address itself is not told, for its password may be right.
 */
export function refuseUnset(option: string, url: URL): void {
  const { hostname, username, password } = url;
  const part = UNSET.test(hostname)
    ? `the host «${hostname}»`
    : [username, password].some((one) => one !== '' && UNSET.test(one)) && 'the user or password «undefined»';
  if (part)
    throw new InvalidOptionError(option, NOT_SHOWN, `an address without ${part}. Is an environment variable not set?`);
}
