import { DirectoryInUseError } from '../durable-queue/directory-claim.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { printable } from '../errors/printable.js';
import { errorMessage, redactCredentials } from '../errors/redact.js';
import { type Command, type Console, EXIT } from './command.js';
import { deadLettersDeleteCommand } from './dead-letters-delete.command.js';
import { deadLettersListCommand } from './dead-letters-list.command.js';
import { deadLettersRedriveCommand } from './dead-letters-redrive.command.js';
import { deadLettersShowCommand } from './dead-letters-show.command.js';
import { flagLines, parseFlags, perhapsMeant, UsageError } from './flags.js';
import { requeueInspectCommand } from './requeue-inspect.command.js';
import { requeuePurgeCommand } from './requeue-purge.command.js';
import { requeueRetryCommand } from './requeue-retry.command.js';
import { requeueCommand } from './requeue.command.js';

const PROGRAM = 'nestjs-messaging';
const HELP = ['--help', '-h', 'help'];

/** Longer names first: `requeue inspect` is not `requeue`. */
export const COMMANDS: readonly Command[] = [
  requeueInspectCommand,
  requeueRetryCommand,
  requeuePurgeCommand,
  requeueCommand,
  deadLettersDeleteCommand,
  deadLettersRedriveCommand,
  deadLettersShowCommand,
  deadLettersListCommand,
];

/** Runs what the command line says, and returns the exit code. It does not throw. */
export async function main(args: readonly string[], console: Console): Promise<number> {
  if (args.length === 0 || HELP.includes(args[0])) {
    (args.length === 0 ? console.stderr : console.stdout).write(`${overview()}\n`);
    return args.length === 0 ? EXIT.usage : EXIT.ok;
  }
  const command = COMMANDS.find(({ name }) => name.split(' ').every((word, at) => args[at] === word));
  if (!command) return fail(console, `${noCommand(args)}. See ${PROGRAM} --help`, EXIT.usage);
  const rest = args.slice(command.name.split(' ').length);
  if (rest.some((word) => HELP.includes(word) && word !== 'help')) {
    console.stdout.write(`${helpOf(command)}\n`);
    return EXIT.ok;
  }
  try {
    return await command.run(parseFlags(rest, command.flags), console);
  } catch (error) {
    const hint = error instanceof UsageError ? `. See ${PROGRAM} ${command.name} --help` : '';
    return fail(console, inFlags(error, command) + hint, exitCode(error));
  }
}

/** `dead-letters` alone, or with a word that is none of its commands, is told what they are. */
function noCommand(args: readonly string[]): string {
  const [first, second] = args;
  const names = COMMANDS.map(({ name }) => name).reverse();
  const ofGroup = names.filter((name) => name.startsWith(`${first} `));
  const isName = second !== undefined && !second.startsWith('-');
  const said = ofGroup.length > 0 && isName ? `${first} ${second}` : first;
  const isGroup = ofGroup.length > 0 && !isName;
  const groups = new Set(names.map((name) => name.split(' ')[0]));
  const guess = isGroup ? '' : perhapsMeant(said, names) || perhapsMeant(first, groups);
  const list = ofGroup.length > 0 ? `. There are: ${ofGroup.join(', ')}` : '';
  return `There is no command «${redactCredentials(said)}»${guess}${list}`;
}

/** The help text of a command. */
export function helpOf({ name, what, flags, notes }: Command): string {
  const usage = `Usage: ${PROGRAM} ${name} [options]`;
  return [usage, what, flagLines([...flags, HELP_FLAG]), ...(notes === undefined ? [] : [notes])].join('\n\n');
}

const HELP_FLAG = { name: 'help', what: 'print this' };

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  const lines = [...COMMANDS]
    .reverse()
    .map(({ name, what }) => `  ${name.padEnd(width)}  ${what}`)
    .join('\n');
  return `Usage: ${PROGRAM} <command> [options]\n\n${lines}\n\nSee ${PROGRAM} <command> --help`;
}

function fail(console: Console, message: string, code: number): number {
  console.stderr.write(`${printable(message)}\n`);
  return code;
}

/** Options are told by the names of their flags. */
function inFlags(error: unknown, { optionNames }: Command): string {
  const name = error instanceof InvalidOptionError ? optionNames?.[error.option] : undefined;
  return name === undefined
    ? errorMessage(error)
    : errorMessage(error).replace(`Option «${(error as InvalidOptionError).option}»`, name);
}

function exitCode(error: unknown): number {
  if (error instanceof UsageError || error instanceof InvalidOptionError) return EXIT.usage;
  return error instanceof DirectoryInUseError ? EXIT.inUse : EXIT.failed;
}
