import { printable, printableJson } from '../errors/printable.js';
import { type Command, EXIT } from './command.js';
import { BROKER_NOTES } from './broker-flags.js';
import { conditionsOf, FILTERS, JSON_FLAG, OPTION_NAMES } from './dead-letters-flags.js';
import { PLACE, PLACE_NOTES, withPlace } from './dead-letters-place-flags.js';
import { ROW_HEAD, rowOf, table, toJson } from './dead-letters-text.js';
import { wholeNumber } from './flags.js';

const DEFAULT_LIMIT = 20;

export const deadLettersListCommand: Command = {
  name: 'dead-letters list',
  what: 'Lists dead letters, the oldest of a queue first.',
  flags: [
    ...PLACE,
    ...FILTERS,
    { name: 'limit', value: 'count', default: String(DEFAULT_LIMIT), what: 'the most that are listed' },
    { name: 'offset', value: 'count', default: '0', what: 'so many of the selected ones are passed over' },
    JSON_FLAG,
  ],
  notes: [BROKER_NOTES, PLACE_NOTES, 'Exit codes: 0 done, 1 failed, 2 wrong usage.'].join('\n\n'),
  optionNames: OPTION_NAMES,
  async run(values, console) {
    const selection = conditionsOf(values);
    const page = { limit: wholeNumber(values, 'limit') ?? DEFAULT_LIMIT, offset: wholeNumber(values, 'offset') ?? 0 };
    const { name, letters, count } = await withPlace(values, console, 'read', async (place) => ({
      name: place.name,
      count: await place.count(),
      letters: await place.list(selection, page),
    }));
    const { stdout } = console;
    if (values.json) {
      stdout.write(`${printableJson(letters.map(toJson), 2)}\n`);
      return EXIT.ok;
    }
    if (letters.length > 0)
      stdout.write(`${table(ROW_HEAD, letters.map(rowOf), (stdout.isTTY && stdout.columns) || undefined)}\n`);
    const more = letters.length === page.limit ? `; the next ones with --offset ${page.offset + page.limit}` : '';
    // A broker's count may lag behind what was just shown.
    stdout.write(
      `${letters.length} listed of ${Math.max(count, page.offset + letters.length)} in ${printable(name)}${more}\n`,
    );
    return EXIT.ok;
  },
};
