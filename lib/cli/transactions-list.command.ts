import { printableJson } from '../errors/printable.js';
import { TRANSACTION_STATES, type TransactionState } from '../transaction/transaction-record.js';
import { shown } from '../transaction/transactions.js';
import { type Command, EXIT } from './command.js';
import { JSON_FLAG } from './dead-letters-flags.js';
import { table } from './dead-letters-text.js';
import { textOf, UsageError, wholeNumber } from './flags.js';
import { RECORDS, RECORDS_NAMES, RECORDS_NOTES, transactionJson, withRecords } from './transactions-records.js';

const DEFAULT_LIMIT = 20;
const ALL = 'all';

export const transactionsListCommand: Command = {
  name: 'transactions list',
  what: 'Lists transactional sends of which nobody can say what became of them, the oldest first.',
  flags: [
    ...RECORDS,
    { name: 'state', value: 'state', default: 'parked', what: `${TRANSACTION_STATES.join(', ')}, or ${ALL}` },
    { name: 'limit', value: 'count', default: String(DEFAULT_LIMIT), what: 'the most that are listed' },
    { name: 'after', value: 'place', default: '0', what: 'only those behind this place in the line' },
    JSON_FLAG,
  ],
  notes: [RECORDS_NOTES, 'Exit codes: 0 listed, 1 failed, 2 wrong usage.'].join('\n\n'),
  optionNames: RECORDS_NAMES,
  async run(values, console) {
    const state = textOf(values, 'state') ?? 'parked';
    if (state !== ALL && !TRANSACTION_STATES.includes(state as TransactionState))
      throw new UsageError(`--state takes ${TRANSACTION_STATES.join(', ')} or ${ALL}`);
    const only = state === ALL ? undefined : (state as TransactionState);
    const limit = wholeNumber(values, 'limit') ?? DEFAULT_LIMIT;
    if (limit < 1) throw new UsageError('--limit takes a number from 1');
    const { found, counts } = await withRecords(values, console, async (records) => ({
      found: await records.page(only, wholeNumber(values, 'after') ?? 0, limit),
      counts: await records.count(),
    }));
    const { stdout } = console;
    if (values.json) {
      stdout.write(`${printableJson(found.map(transactionJson), 2)}\n`);
      return EXIT.ok;
    }
    if (found.length > 0) {
      const cells = found.map(shown).map(({ preparedAt, id, route, state: at, checks, reason = '' }) => {
        return [preparedAt.toISOString(), id, route, at, String(checks), reason];
      });
      const head = ['PREPARED', 'ID', 'ROUTE', 'STATE', 'CHECKS', 'REASON'];
      stdout.write(`${table(head, cells, (stdout.isTTY && stdout.columns) || undefined)}\n`);
    }
    const more = found.length === limit ? `; the next ones with --after ${found.at(-1)!.seq}` : '';
    const told = TRANSACTION_STATES.map((name) => `${counts[name]} ${name}`).join(', ');
    stdout.write(`${found.length} listed; there are ${told}${more}\n`);
    return EXIT.ok;
  },
};
