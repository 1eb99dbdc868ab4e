import { systemClock } from '../clock/clock.js';
import { printable, printableJson } from '../errors/printable.js';
import { type DirectorySummary, inspectDirectory, type QueueSummary } from '../requeue/data-directory.js';
import { type Command, EXIT } from './command.js';
import { DATA_DIR, dataDirectory } from './data-directory-flags.js';
import { wholeNumber } from './flags.js';

const DEFAULT_LIMIT = 20;

export const requeueInspectCommand: Command = {
  name: 'requeue inspect',
  what: 'Shows what a data directory holds. It only reads; a service may be running.',
  flags: [
    DATA_DIR,
    {
      name: 'limit',
      value: 'count',
      default: String(DEFAULT_LIMIT),
      what: 'dead letters that are listed, the newest first',
    },
    { name: 'json', what: 'as JSON' },
  ],
  async run(values, { stdout }) {
    const limit = wholeNumber(values, 'limit') ?? DEFAULT_LIMIT;
    const summary = await inspectDirectory(dataDirectory(values), systemClock.now(), limit);
    stdout.write(`${values.json ? printableJson(summary) : readable(summary)}\n`);
    return EXIT.ok;
  },
};

function readable({ directory, files, queues, deadLetters }: DirectorySummary): string {
  const owned = files.filter((file) => file.owned).length;
  const lines = [`${directory}: ${files.length} files, ${owned} in use`];
  for (const { name, error } of files) if (error !== undefined) lines.push(`  ${name} cannot be read: ${error}`);
  lines.push('', ...queues.flatMap(queueLines));
  if (queues.length === 0) lines.push('empty');
  if (deadLetters.length > 0) lines.push('', 'Dead letters, the newest first:');
  for (const { time, queue, id, subject, reason, attempts, error } of deadLetters)
    lines.push(`  ${time} ${queue} ${id} to ${subject}: ${reason} after ${attempts} attempts (${error})`);
  return lines.map(printable).join('\n');
}

function queueLines({ queue, depth, due, bytes, oldest, nextDue, deadLetters }: QueueSummary): string[] {
  const times = [...(oldest ? [`oldest ${oldest}`] : []), ...(nextDue ? [`next due ${nextDue}`] : [])];
  const dead = Object.entries(deadLetters).map(([reason, count]) => `${count} ${reason}`);
  const counts = [`${depth} waiting, ${due} due, ${bytes} bytes`, ...times];
  return [`${queue}: ${counts.join(', ')}`, ...(dead.length > 0 ? [`  dead letters: ${dead.join(', ')}`] : [])];
}
