import { existingPostgresTable, sharedPostgresPlace } from '../clients/shared-postgres-table.js';
import type { SharedTable } from '../clients/shared-table.js';
import { existingSqliteTable, sharedSqlitePlace } from '../clients/shared-sqlite-file.js';
import { systemClock } from '../clock/clock.js';
import { printable } from '../errors/printable.js';
import { scopesIn, SqlTransactionRecords, transactionTables } from '../transaction/sql-transaction-records.js';
import { messageOf } from '../transaction/kept-message.js';
import type { TransactionRecord, TransactionRecordStore } from '../transaction/transaction-record.js';
import { shown } from '../transaction/transactions.js';
import type { Console } from './command.js';
import { bodyText, headersJson } from './dead-letters-text.js';
import { type Flag, type FlagValues, textOf, UsageError } from './flags.js';

/** Where the records are. */
export const RECORDS: readonly Flag[] = [
  {
    name: 'records',
    value: 'place',
    what: 'file of sqliteTransactionRecords, or URL of postgresTransactionRecords; required, or TRANSACTION_RECORDS',
  },
  { name: 'schema', value: 'name', default: 'messaging', what: 'of the tables in PostgreSQL' },
  {
    name: 'destination',
    value: 'name',
    what: 'whose records, where several applications share the place: orders:default:rabbitmq:/:events',
  },
];

/** How options of the library are called here. */
export const RECORDS_NAMES: Readonly<Record<string, string>> = {
  'sqliteTransactionRecords.file': '--records',
  'postgresTransactionRecords.url': '--records',
  'postgresTransactionRecords.schema': '--schema',
};

export const RECORDS_NOTES = [
  'Environment: TRANSACTION_RECORDS instead of --records keeps a password out of the list of processes.',
  [
    'Applications may be using the records. What is decided is done by one that runs, within a third of its «lease»: 5 s.',
    'Records in Redis are seen to in an application: messaging.transactions. A file needs Node 22.13, or @photostructure/sqlite.',
  ].join('\n'),
].join('\n\n');

/** Opens the records that the flags name, runs `work`, and closes them. @throws UsageError, MessagingError */
export async function withRecords<T>(
  values: FlagValues,
  console: Console,
  work: (records: TransactionRecordStore) => Promise<T>,
): Promise<T> {
  const given = textOf(values, 'records') ?? console.env.TRANSACTION_RECORDS;
  if (given === undefined || given === '')
    throw new UsageError('--records is required, or TRANSACTION_RECORDS: a file, or postgres://user@host/database');
  const table = await openTable(given, textOf(values, 'schema'));
  try {
    return await work(new SqlTransactionRecords(table, await scopeOf(table, textOf(values, 'destination'))));
  } finally {
    await table.close();
  }
}

/** All that is known of a transaction, as JSON. */
export function transactionJson(record: TransactionRecord): object {
  const { body, preparedAt, seq: _, ...rest } = shown(record);
  const { text, encoding } = bodyText(body);
  const { headers } = messageOf(record);
  return { ...rest, preparedAt: preparedAt.toISOString(), headers: headersJson(headers), body: text, encoding };
}

function openTable(given: string, schema: string | undefined): Promise<SharedTable> {
  if (/^postgres(ql)?:/.test(given)) {
    const place = sharedPostgresPlace('postgresTransactionRecords', { url: given, ...(schema && { schema }) });
    return existingPostgresTable(place, transactionTables, systemClock);
  }
  if (schema !== undefined) throw new UsageError('--schema goes with records in PostgreSQL');
  const place = sharedSqlitePlace('sqliteTransactionRecords', { file: given });
  return existingSqliteTable(place, transactionTables, systemClock);
}

/** Without any records, whatever was asked for is empty. @throws UsageError where it is not clear whose are meant */
async function scopeOf(table: SharedTable, destination: string | undefined): Promise<string> {
  const all = await scopesIn(table);
  if (destination === undefined && all.length <= 1) return all[0] ?? '';
  if (destination !== undefined && all.includes(destination)) return destination;
  const names = all.map(printable).join(', ') || 'none';
  throw new UsageError(`--destination is required to be one of those that have records: ${names}`);
}
