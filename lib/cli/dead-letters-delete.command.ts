import { createInterface } from 'node:readline/promises';
import { hasCondition } from '../dead-letter/dead-letter-selection.js';
import { type Command, type Console, EXIT } from './command.js';
import { BROKER, BROKER_NOTES, READING_NOTES, withBroker } from './dead-letters-broker.js';
import { conditionsOf, FILTERS, JSON_FLAG, OPTION_NAMES } from './dead-letters-flags.js';
import { UsageError } from './flags.js';

export const deadLettersDeleteCommand: Command = {
  name: 'dead-letters delete',
  what: 'Deletes dead letters for good.',
  flags: [
    ...BROKER,
    ...FILTERS,
    { name: 'all', what: 'all of the queue; else a filter is required' },
    { name: 'yes', what: 'without asking; required where nobody can be asked' },
    JSON_FLAG,
  ],
  notes: [
    BROKER_NOTES,
    READING_NOTES,
    'Exit codes: 0 deleted, 1 failed, 2 wrong usage, 4 the question was not answered with yes.',
  ].join('\n\n'),
  optionNames: OPTION_NAMES,
  async run(values, console) {
    const conditions = conditionsOf(values);
    const filtered = hasCondition(conditions);
    if (values.all && filtered) throw new UsageError('--all and a filter do not go together');
    if (!values.all && !filtered) throw new UsageError('A filter is required, or --all');
    if (!values.yes && !(console.stdin?.isTTY && console.stderr.isTTY))
      throw new UsageError('--yes is required: there is nobody to be asked');
    return withBroker(values, console, async ({ deadLetters, queues }) => {
      const selection = { queue: queues, ...conditions };
      if (!values.yes) {
        const { matched } = await deadLetters.redrive(selection, { dryRun: true });
        if (!(await confirmed(console, `Delete ${matched} dead letters for good? [y/N] `))) {
          console.stdout.write('Nothing is deleted\n');
          return EXIT.stopped;
        }
      }
      const { done } = await deadLetters.delete({ ...selection, ...(values.all === true && { all: true as const }) });
      console.stdout.write(
        values.json ? `${JSON.stringify({ deleted: done })}\n` : `${done} dead letters are deleted\n`,
      );
      return EXIT.ok;
    });
  },
};

async function confirmed({ stdin, stderr }: Console, question: string): Promise<boolean> {
  const line = createInterface({ input: stdin!, output: stderr });
  try {
    return /^y(es)?$/i.test((await line.question(question)).trim());
  } finally {
    line.close();
  }
}
