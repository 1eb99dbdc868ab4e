import { printable, printableJson } from '../errors/printable.js';
import { APP_NOTES } from './application.js';
import { type Command, EXIT } from './command.js';
import { JSON_FLAG } from './dead-letters-flags.js';
import { textOf, UsageError } from './flags.js';
import { OPTION_NAMES, TOPOLOGY, withTopology } from './topology-application.js';

export const topologyMigrateCommand: Command = {
  name: 'topology migrate',
  what: 'Makes a queue anew as the application wants it, under its name and with all that is in it.',
  flags: [
    ...TOPOLOGY,
    { name: 'queue', value: 'name', what: 'the queue; required', isQueue: true },
    { name: 'dry-run', what: 'shows the steps, and does none' },
    JSON_FLAG,
  ],
  notes: [
    'End the processes that consume the queue before. Killed at any point nothing is lost: call it again, and it goes on.',
    APP_NOTES,
    'Exit codes: 0 migrated, or as wanted already, 1 failed or refused, 2 wrong usage.',
  ].join('\n\n'),
  optionNames: OPTION_NAMES,
  async run(values, console) {
    const { stdout } = console;
    const queue = textOf(values, 'queue');
    if (queue === undefined || queue === '') throw new UsageError('--queue is required: what topology plan calls it');
    const dryRun = values['dry-run'] === true;
    const onStep = (what: string): void => void (values.json || stdout.write(`${printable(what)}\n`));
    const done = await withTopology(values, console, (app, entry, options) =>
      entry.migrateQueue(app, { ...options, queue, dryRun, onStep }),
    );
    if (values.json) stdout.write(`${printableJson(done, 2)}\n`);
    else if (dryRun) stdout.write(done.steps.map((step, at) => `${at + 1}. ${printable(step)}\n`).join(''));
    if (!values.json && !done.changed) stdout.write(`«${printable(queue)}» is as it is wanted\n`);
    else if (!values.json && !dryRun)
      stdout.write(`«${printable(queue)}» is migrated: ${done.moved} moves of messages\n`);
    return EXIT.ok;
  },
};
