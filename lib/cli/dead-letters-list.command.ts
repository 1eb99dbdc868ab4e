import { type Command, EXIT } from './command.js';
import { BROKER, BROKER_NOTES, READING_NOTES, withBroker } from './dead-letters-broker.js';
import { conditionsOf, FILTERS, JSON_FLAG, OPTION_NAMES } from './dead-letters-flags.js';
import { ROW_HEAD, rowOf, table, toJson } from './dead-letters-text.js';
import { wholeNumber } from './flags.js';

const DEFAULT_LIMIT = 20;

export const deadLettersListCommand: Command = {
  name: 'dead-letters list',
  what: 'Lists dead letters, the oldest of a queue first.',
  flags: [
    ...BROKER,
    ...FILTERS,
    { name: 'limit', value: 'count', default: String(DEFAULT_LIMIT), what: 'the most that are listed' },
    { name: 'offset', value: 'count', default: '0', what: 'so many of the selected ones are passed over' },
    JSON_FLAG,
  ],
  notes: [BROKER_NOTES, READING_NOTES, 'Exit codes: 0 done, 1 failed, 2 wrong usage.'].join('\n\n'),
  optionNames: OPTION_NAMES,
  async run(values, console) {
    const selection = conditionsOf(values);
    const page = { limit: wholeNumber(values, 'limit') ?? DEFAULT_LIMIT, offset: wholeNumber(values, 'offset') ?? 0 };
    const { letters, count } = await withBroker(values, console, async ({ deadLetters, queues }) => ({
      count: await deadLetters.count({ queue: queues }),
      letters: await deadLetters.list({ queue: queues, ...selection }, page),
    }));
    const { stdout } = console;
    if (values.json) {
      stdout.write(`${JSON.stringify(letters.map(toJson), null, 2)}\n`);
      return EXIT.ok;
    }
    if (letters.length > 0)
      stdout.write(`${table(ROW_HEAD, letters.map(rowOf), stdout.isTTY ? stdout.columns : undefined)}\n`);
    const more = letters.length === page.limit ? `; the next ones with --offset ${page.offset + page.limit}` : '';
    // A broker's count may lag behind what was just shown.
    stdout.write(`${letters.length} listed of ${Math.max(count, page.offset + letters.length)} in the queue${more}\n`);
    return EXIT.ok;
  },
};
