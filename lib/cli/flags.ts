import { parseArgs } from 'node:util';
import { didYouMean } from '../errors/did-you-mean.js';
import { redactCredentials } from '../errors/redact.js';
import { redactUrl } from '../transports/kit/redactor.js';

/** One option of a command. */
export interface Flag {
  readonly name: string;
  /** What stands behind the flag in the help; none: the flag is a switch. */
  readonly value?: string;
  /** Told in the help. */
  readonly default?: string;
  readonly what: string;
  readonly multiple?: boolean;
  /** Its value is the name of a queue on the broker. */
  readonly isQueue?: boolean;
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
    throw new UsageError(inWords((error as Error).message, flags));
  }
}

/** What Node says of a command line, in one line and without what may be a password. */
function inWords(text: string, flags: readonly Flag[]): string {
  const [, unknown] = /^Unknown option '(--?[^']*)'/.exec(text) ?? [];
  if (unknown !== undefined) {
    const names = flags.map(({ name }) => `--${name}`);
    return `Unknown option '${redactCredentials(unknown)}'${perhapsMeant(unknown, names)}`;
  }
  const [, extra] = /^Unexpected argument '(.*?)'\. This/s.exec(text) ?? [];
  if (extra !== undefined) return `'${redactUrl(extra)}' is no option; options begin with --`;
  const [, name] = /^Option '(?:-\w, )?--([^' ]+)/.exec(text) ?? [];
  const flag = flags.find((one) => one.name === name);
  if (!flag) return redactCredentials(text.split('\n')[0]);
  return flag.value === undefined
    ? `--${name} takes no value`
    : `--${name} needs a value: --${name} <${flag.value}>, or --${name}=<${flag.value}> for one that begins with «-»`;
}

/** The whole number of a flag, or undefined when it was not given. @throws UsageError */
export function wholeNumber(values: FlagValues, name: string): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (typeof text !== 'string' || !/^\d{1,15}$/.test(text))
    throw new UsageError(`--${name} is «${redactCredentials(String(text))}»; allowed: a whole number`);
  return Number(text);
}

/** A span of time in milliseconds; undefined when it was not given. @throws UsageError */
export function duration(values: FlagValues, name: string): number | undefined {
  const text = textOf(values, name);
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined) throw new UsageError(`--${name} takes a span of time, such as 90s, 30m or 2h`);
  return ms;
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Undefined for a text that is no span of time. */
export function parseDuration(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * UNITS[unit];
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
