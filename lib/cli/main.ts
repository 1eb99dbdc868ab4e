import { DirectoryInUseError } from '../durable-queue/directory-claim.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { printable } from '../errors/printable.js';
import { errorMessage } from '../errors/redact.js';
import { redactUrl } from '../transports/kit/redactor.js';
import { type Command, type Console, EXIT } from './command.js';
import { COMMANDS } from './command-list.js';
import { parseFlags, perhapsMeant, UsageError } from './flags.js';
import { helpOf, overview, PROGRAM } from './help.js';

const HELP = ['--help', '-h'];
const VERSION = ['--version', '-v'];

/** Runs what the command line says, and returns the exit code. It does not throw. */
export async function main(args: readonly string[], console: Console): Promise<number> {
  const [first] = args;
  if (first === undefined) return say(console.stderr, overview(COMMANDS), EXIT.usage);
  if (VERSION.includes(first)) return say(console.stdout, console.version ?? 'unknown', EXIT.ok);
  const given = first === 'help' ? args.slice(1) : args;
  const words = leadingWords(given);
  const command = find(words);
  if (first === 'help' || args.some((word) => HELP.includes(word))) {
    if (command) return say(console.stdout, helpOf(command), EXIT.ok);
    const group = groupOf(words);
    if (group.length > 0) return say(console.stdout, overview(group, words.join(' ')), EXIT.ok);
  }
  if (!command) return fail(console, `${noCommand(words, first)}. See ${PROGRAM} --help`, EXIT.usage);
  try {
    return await command.run(parseFlags(given.slice(wordsOf(command).length), command.flags), console);
  } catch (error) {
    const hint = error instanceof UsageError ? `. See ${PROGRAM} ${command.name} --help` : '';
    return fail(console, inFlags(error, command) + hint, exitCode(error, command));
  }
}

const wordsOf = ({ name }: Command): string[] => name.split(' ');

/** The words before the first option. */
function leadingWords(args: readonly string[]): string[] {
  const end = args.findIndex((word) => word.startsWith('-'));
  return args.slice(0, end < 0 ? undefined : end);
}

/** The longest name that is there. Behind a word that has commands of its own another word is a misspelt one of these. */
function find(words: readonly string[]): Command | undefined {
  const fitting = COMMANDS.filter((one) => wordsOf(one).every((word, at) => words[at] === word));
  const [command] = fitting.sort((one, other) => wordsOf(other).length - wordsOf(one).length);
  const isMisspelt = command && words.length > wordsOf(command).length && groupOf(wordsOf(command)).length > 0;
  return isMisspelt ? undefined : command;
}

/** The commands whose names begin with these words; all without any. */
function groupOf(words: readonly string[]): Command[] {
  const prefix = words.map((word) => `${word} `).join('');
  return COMMANDS.filter(({ name }) => name.startsWith(prefix));
}

function noCommand([first, second]: readonly string[], option: string): string {
  if (first === undefined)
    return `There is no option «${redactUrl(option)}»${perhapsMeant(option, [...HELP, ...VERSION])}`;
  const group = groupOf([first]);
  const said = group.length > 0 && second !== undefined ? `${first} ${second}` : first;
  const names = COMMANDS.map(({ name }) => name);
  const firsts = new Set(names.map((name) => name.split(' ')[0]));
  const isGroup = group.length > 0 && said === first;
  const guess = isGroup ? '' : perhapsMeant(said, names) || perhapsMeant(first, firsts);
  const list = group.length > 0 ? `. There are: ${group.map(({ name }) => name).join(', ')}` : '';
  return `There is no command «${redactUrl(said)}»${guess}${list}`;
}

function say(output: Console['stdout'], text: string, code: number): number {
  output.write(`${text}\n`);
  return code;
}

function fail(console: Console, message: string, code: number): number {
  return say(console.stderr, printable(message), code);
}

/** Options are told by the names of their flags. */
function inFlags(error: unknown, { optionNames }: Command): string {
  if (error instanceof UsageError) return error.message;
  const name = error instanceof InvalidOptionError ? optionNames?.[error.option] : undefined;
  return name === undefined
    ? errorMessage(error)
    : errorMessage(error).replace(`Option «${(error as InvalidOptionError).option}»`, name);
}

function exitCode(error: unknown, { usageCode = EXIT.usage }: Command): number {
  if (error instanceof UsageError || error instanceof InvalidOptionError) return usageCode;
  return error instanceof DirectoryInUseError ? EXIT.inUse : EXIT.failed;
}
