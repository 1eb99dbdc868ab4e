import { printableJson } from '../errors/printable.js';
import { type Command, EXIT } from './command.js';
import { BROKER_NOTES } from './broker-flags.js';
import { JSON_FLAG, OPTION_NAMES } from './dead-letters-flags.js';
import { PLACE, PLACE_NOTES, withPlace } from './dead-letters-place-flags.js';
import { describe, toJson } from './dead-letters-text.js';
import { textOf, UsageError } from './flags.js';

export const deadLettersShowCommand: Command = {
  name: 'dead-letters show',
  what: 'Shows all that is known of one dead letter.',
  flags: [
    ...PLACE,
    { name: 'id', value: 'id', what: 'its id; required' },
    { name: 'body', what: 'only its body, byte for byte' },
    JSON_FLAG,
  ],
  notes: [BROKER_NOTES, PLACE_NOTES, 'Exit codes: 0 shown, 1 not found or failed, 2 wrong usage.'].join('\n\n'),
  optionNames: OPTION_NAMES,
  async run(values, console) {
    const id = textOf(values, 'id');
    if (id === undefined || id === '') throw new UsageError('--id is required');
    if (values.body && values.json) throw new UsageError('--body and --json do not go together');
    const [letter] = await withPlace(values, console, 'read', (place) => place.list({ ids: [id] }, { limit: 1 }));
    const { stdout, stderr } = console;
    if (letter === undefined) {
      stderr.write('There is no dead letter with this id\n');
      return EXIT.failed;
    }
    if (values.body) stdout.write(letter.body);
    else stdout.write(`${values.json ? printableJson(toJson(letter), 2) : describe(letter)}\n`);
    return EXIT.ok;
  },
};
