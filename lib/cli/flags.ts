import { parseArgs } from 'node:util';
import { didYouMean } from '../errors/did-you-mean.js';
import { redactCredentials } from '../errors/redact.js';

/** One option of a command. */
export interface Flag {
  readonly name: string;
  /** What stands behind it in the help; none: it is a switch. */
  readonly value?: string;
  /** Told in the help. */
  readonly default?: string;
  readonly what: string;
  readonly multiple?: boolean;
}

/** The command line is wrong; exit code 2. Its text holds no secret. */
export class UsageError extends Error {}

export type FlagValues = Readonly<Record<string, string | boolean | string[] | undefined>>;

/** @throws UsageError */
export function parseFlags(args: readonly string[], flags: readonly Flag[]): FlagValues {
  const options = Object.fromEntries(
    flags.map(({ name, value, multiple = false }) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), multiple },
    ]),
  );
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values as FlagValues;
  } catch (error) {
    const text = redactCredentials((error as Error).message.split('. To specify')[0]);
    const [, unknown] = /^Unknown option '(--[^']*)'/.exec(text) ?? [];
    const names = flags.map(({ name }) => `--${name}`);
    throw new UsageError(unknown === undefined ? text : text + perhapsMeant(unknown, names));
  }
}

/** The whole number of a flag, or undefined when it was not given. @throws UsageError */
export function wholeNumber(values: FlagValues, name: string): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (typeof text !== 'string' || !/^\d{1,15}$/.test(text))
    throw new UsageError(`--${name} is «${redactCredentials(String(text))}»; allowed: a whole number`);
  return Number(text);
}

export function textOf(values: FlagValues, name: string): string | undefined {
  return values[name] as string | undefined;
}

/** Without the options that were not given. */
export function given(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** The flags as lines of a help text. */
export function flagLines(flags: readonly Flag[]): string {
  const left = flags.map(({ name, value }) => (value === undefined ? `--${name}` : `--${name} <${value}>`));
  const width = Math.max(...left.map(({ length }) => length));
  return flags
    .map(({ what, default: otherwise }, at) => {
      const told = otherwise === undefined ? what : `${what} (default ${otherwise})`;
      return `  ${left[at].padEnd(width)}  ${told}`;
    })
    .join('\n');
}

/** A guess that another sentence follows. */
export function perhapsMeant(name: string, known: Iterable<string>): string {
  return didYouMean(name, known).replace(/\?$/, '');
}
