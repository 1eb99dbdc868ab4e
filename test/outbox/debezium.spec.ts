import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { describePostgres } from '../brokers/postgres.js';
import { closeApplications, startApplication } from './application.js';

const ROUTER = 'transforms.outbox.';

/** The settings of the router that docs/outbox.md gives. */
function documented(): ReadonlyMap<string, string> {
  const text = readFileSync(join(__dirname, '../../docs/outbox.md'), 'utf8');
  const [, block] = /```properties\n([^`]*transforms\.outbox\.[^`]*)```/.exec(text)!;
  return new Map(block.trim().split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])); // prettier-ignore
}

/** What the router takes of a column: text for ids, keys, routes and headers, bytes for the payload. */
const WANTED: Readonly<Record<string, string>> = {
  'table.field.event.id': 'text',
  'table.field.event.key': 'text',
  'table.field.event.payload': 'bytea',
  'route.by.field': 'text',
};

describePostgres("the columns that Debezium's outbox router is told of", (postgres) => {
  afterEach(closeApplications);

  test('are those of the table, with their types, and it needs no other', async () => {
    const url = await postgres.url();
    const client = new Client({ connectionString: url });
    await client.connect();
    await startApplication({ url, relay: false });
    const { rows } = await client.query<{ name: string; type: string; optional: string }>(
      `select column_name as name, data_type as type, is_nullable as optional from information_schema.columns
       where table_schema = 'messaging' and table_name = 'outbox'`,
    );
    await client.end();
    const columns = new Map(rows.map((row) => [row.name, row]));
    const settings = documented();
    for (const [setting, type] of Object.entries(WANTED))
      expect([setting, columns.get(settings.get(ROUTER + setting)!)?.type]).toEqual([setting, type]);
    // Without these it could not send.
    for (const setting of ['table.field.event.id', 'table.field.event.payload', 'route.by.field'])
      expect(columns.get(settings.get(ROUTER + setting)!)?.optional).toBe('NO');
    const placed = settings.get(`${ROUTER}table.fields.additional.placement`)!.split(',').map((one) => one.split(':')[0]); // prettier-ignore
    expect(placed).not.toHaveLength(0);
    for (const name of placed) expect(columns.get(name)?.type).toMatch(/^(text|json)$/);
  });
});
