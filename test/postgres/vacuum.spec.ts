import { afterEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { describePostgres } from '../brokers/postgres.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeTransports, PlainTransport, queueOf } from './client.js';

const MESSAGES = 24_000;
const AT_A_TIME = 1_000;

describePostgres('the tables of a busy queue', (postgres) => {
  afterEach(closeTransports);

  test('are kept small by the queue itself, which tells nothing where nothing is wrong', async () => {
    const url = await postgres.url();
    const client = new Client({ connectionString: url });
    await client.connect();
    const transport = await PlainTransport.connect({ url });
    let handled = 0;
    await transport.consume(queueOf('busy'), 500, (delivery) => {
      delivery.ack();
      handled++;
    });
    // Nobody else looks after them.
    for (const table of ['messages', 'waiting', 'keys'])
      await client.query(`alter table messaging.${table} set (autovacuum_enabled = false)`);
    for (let sent = 0; sent < MESSAGES; sent += AT_A_TIME) {
      await transport.publish(...Array.from({ length: AT_A_TIME }, () => transport.toQueue('busy')));
      await waitFor(() => handled >= sent, 'the messages before these');
    }
    await waitFor(() => handled === MESSAGES);
    const count = async () => {
      const { rows } = await client.query<{ count: number }>(
        `select vacuum_count::int as count from pg_stat_user_tables where relname = 'messages'`,
      );
      return rows[0].count;
    };
    await waitFor(async () => (await count()) >= 1, 'VACUUM');
    const { rows } = await client.query<{ size: number }>(
      `select pg_total_relation_size('messaging.messages')::int as size`,
    );
    await client.end();
    // Without it each message leaves two rows behind.
    expect(rows[0].size).toBeLessThan(12_000 * 2 * 300);
    expect(transport.warnings()).toEqual([]);
  });
});
