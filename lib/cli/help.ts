import type { Command } from './command.js';
import { flagLines } from './flags.js';

export const PROGRAM = 'nestjs-messaging';

const HELP_FLAG = { name: 'help', what: 'print this' };

/** The help text of a command. */
export function helpOf({ name, what, flags, notes }: Command): string {
  const usage = `Usage: ${PROGRAM} ${name} [options]`;
  return [usage, what, flagLines([...flags, HELP_FLAG]), ...(notes === undefined ? [] : [notes])].join('\n\n');
}

/** A line for each command. */
export function commandLines(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return commands.map(({ name, what }) => `  ${name.padEnd(width)}  ${what}`).join('\n');
}

/** The commands of a word that is no command itself; of none, all there are. */
export function overview(commands: readonly Command[], group = ''): string {
  const usage = `Usage: ${[PROGRAM, ...(group === '' ? [] : [group])].join(' ')} <command> [options]`;
  return `${usage}\n\n${commandLines(commands)}\n\nSee ${PROGRAM} <command> --help; --version says the version`;
}
