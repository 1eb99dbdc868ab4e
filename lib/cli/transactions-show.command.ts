import { printable, printableJson } from '../errors/printable.js';
import { messageOf } from '../transaction/kept-message.js';
import type { TransactionRecord } from '../transaction/transaction-record.js';
import { shown } from '../transaction/transactions.js';
import { type Command, EXIT } from './command.js';
import { JSON_FLAG } from './dead-letters-flags.js';
import { bodyLines, headerLines } from './dead-letters-text.js';
import { type Flag, type FlagValues, textOf, UsageError } from './flags.js';
import { RECORDS, RECORDS_NAMES, RECORDS_NOTES, transactionJson, withRecords } from './transactions-records.js';

export const ID: Flag = { name: 'id', value: 'id', what: 'of the transaction, as list shows it; required' };

export const transactionsShowCommand: Command = {
  name: 'transactions show',
  what: 'Shows all that is known of one transactional send.',
  flags: [...RECORDS, ID, { name: 'body', what: 'only the body of its message, byte for byte' }, JSON_FLAG],
  notes: [RECORDS_NOTES, 'Exit codes: 0 shown, 1 not found or failed, 2 wrong usage.'].join('\n\n'),
  optionNames: RECORDS_NAMES,
  async run(values, console) {
    const id = idOf(values);
    if (values.body && values.json) throw new UsageError('--body and --json do not go together');
    const record = await withRecords(values, console, (records) => records.find(id));
    const { stdout, stderr } = console;
    if (record === undefined) {
      stderr.write('There is no transaction with this id\n');
      return EXIT.failed;
    }
    if (values.body) stdout.write(record.body);
    else stdout.write(`${values.json ? printableJson(transactionJson(record), 2) : readable(record)}\n`);
    return EXIT.ok;
  },
};

/** @throws UsageError */
export function idOf(values: FlagValues): string {
  const id = textOf(values, 'id');
  if (id === undefined || id === '') throw new UsageError('--id is required');
  return id;
}

function readable(record: TransactionRecord): string {
  const { id, messageId, route, state, preparedAt, checks, reason, body } = shown(record);
  const facts: [string, string][] = [
    ['id', id],
    ['message', messageId],
    ['route', route],
    ['state', state],
    ['prepared', preparedAt.toISOString()],
    ['checks', String(checks)],
    ['reason', reason ?? '-'],
  ];
  const lines = facts.map(([name, value]) => `${name.padEnd(8)}  ${printable(value)}`);
  return [...lines, ...headerLines(Object.entries(messageOf(record).headers)), ...bodyLines(body)].join('\n');
}
