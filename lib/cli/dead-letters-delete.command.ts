import { hasCondition } from '../dead-letter/dead-letter-selection.js';
import { type Command, EXIT } from './command.js';
import { confirmed, requireAnswer } from './confirmed.js';
import { BROKER_NOTES } from './broker-flags.js';
import { conditionsOf, FILTERS, JSON_FLAG, OPTION_NAMES } from './dead-letters-flags.js';
import { PLACE, PLACE_NOTES, withPlace } from './dead-letters-place-flags.js';
import { UsageError } from './flags.js';

export const deadLettersDeleteCommand: Command = {
  name: 'dead-letters delete',
  what: 'Deletes dead letters for good.',
  flags: [
    ...PLACE,
    ...FILTERS,
    { name: 'all', what: 'all of them; else a filter is required' },
    { name: 'yes', what: 'without asking; required where nobody can be asked' },
    JSON_FLAG,
  ],
  notes: [
    BROKER_NOTES,
    PLACE_NOTES,
    'Exit codes: 0 deleted, 1 failed, 2 wrong usage, 3 an application is using the folder, 4 the question was not answered with yes.',
  ].join('\n\n'),
  optionNames: OPTION_NAMES,
  async run(values, console) {
    const conditions = conditionsOf(values);
    const filtered = hasCondition(conditions);
    if (values.all && filtered) throw new UsageError('--all and a filter do not go together');
    if (!values.all && !filtered) throw new UsageError('A filter is required, or --all');
    requireAnswer(values, console);
    return withPlace(values, console, 'change', async (place) => {
      if (!values.yes) {
        const { matched } = await place.redrive(conditions, { dryRun: true });
        if (!(await confirmed(console, `Delete ${matched} dead letters for good? [y/N] `))) {
          console.stdout.write('Nothing is deleted\n');
          return EXIT.stopped;
        }
      }
      const done = await place.delete({ ...conditions, ...(values.all === true && { all: true as const }) });
      console.stdout.write(
        values.json ? `${JSON.stringify({ deleted: done })}\n` : `${done} dead letters are deleted\n`,
      );
      return EXIT.ok;
    });
  },
};
