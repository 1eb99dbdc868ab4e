import { randomUUID } from 'node:crypto';
import { printable } from '../errors/printable.js';
import { type Command, EXIT } from './command.js';
import { confirmed, requireAnswer } from './confirmed.js';
import { JSON_FLAG } from './dead-letters-flags.js';
import { textOf, UsageError } from './flags.js';
import { RECORDS, RECORDS_NAMES, RECORDS_NOTES, withRecords } from './transactions-records.js';
import { ID, idOf } from './transactions-show.command.js';

const OUTCOMES = {
  committed: 'is sent by an application that runs',
  'rolled-back': 'goes, and is sent by nobody',
  unknown: 'is asked about anew by an application that runs',
} as const;
type Outcome = keyof typeof OUTCOMES;

export const transactionsDecideCommand: Command = {
  name: 'transactions decide',
  what: 'Says what became of a parked transaction, after a look into its database.',
  flags: [
    ...RECORDS,
    ID,
    {
      name: 'outcome',
      value: 'outcome',
      what: 'committed: the message is sent; rolled-back: it goes; unknown: it is asked about anew; required',
    },
    { name: 'yes', what: 'without asking, where it goes; required where nobody can be asked' },
    JSON_FLAG,
  ],
  notes: [
    RECORDS_NOTES,
    'Exit codes: 0 decided, 1 not parked, or failed, 2 wrong usage, 4 the question was not answered with yes.',
  ].join('\n\n'),
  optionNames: RECORDS_NAMES,
  async run(values, console) {
    const id = idOf(values);
    const outcome = textOf(values, 'outcome') as Outcome | undefined;
    if (outcome === undefined || !Object.hasOwn(OUTCOMES, outcome))
      throw new UsageError(`--outcome is required: ${Object.keys(OUTCOMES).join(', ')}`);
    const isLost = outcome === 'rolled-back';
    if (isLost) requireAnswer(values, console);
    const { stdout, stderr } = console;
    return withRecords(values, console, async (records) => {
      const parked = await records.find(id);
      if (parked?.state !== 'parked') {
        stderr.write('There is no parked transaction with this id\n');
        return EXIT.failed;
      }
      const question = `The message on ${printable(parked.route)} goes for good. Is its transaction rolled back? [y/N] `;
      if (isLost && !values.yes && !(await confirmed(console, question))) {
        stdout.write('Nothing is decided\n');
        return EXIT.stopped;
      }
      // It belongs to this command for a moment, and to nobody then: an application takes it.
      const owner = `cli-${randomUUID()}`;
      const done = await records.resolve(id, owner, outcome);
      await records.leave(owner);
      if (!done) {
        stderr.write('Meanwhile somebody else has decided it\n');
        return EXIT.failed;
      }
      stdout.write(
        values.json ? `${JSON.stringify({ id, outcome })}\n` : `The message of ${printable(id)} ${OUTCOMES[outcome]}\n`,
      );
      return EXIT.ok;
    });
  },
};
