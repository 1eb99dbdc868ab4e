import { mkdtempSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { fixed, memory, MessagingModule } from 'nestjs-messaging';
import { postgresTransactionRecords } from 'nestjs-messaging/stores';
import {
  CheckTransaction,
  sqliteTransactionRecords,
  type TransactionOutcome,
  type TransactionRecordStoreFactory,
} from 'nestjs-messaging/transaction';
import { main } from '../../lib/cli/main.js';
import { describePostgres } from '../brokers/postgres.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Run, Written } from '../dead-letters/support/run.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';

class Orders {
  outcome: TransactionOutcome = 'unknown';

  @CheckTransaction('order.created')
  wasCreated(): TransactionOutcome {
    return this.outcome;
  }
}

async function run(env: Record<string, string>, ...args: string[]): Promise<Run> {
  const [stdout, stderr] = [new Written(), new Written()];
  const streams = { stdout, stderr } as unknown as { stdout: NodeJS.WriteStream; stderr: NodeJS.WriteStream };
  const code = await main(['transactions', ...args], { ...streams, env });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

const folder = mkdtempSync(join(tmpdir(), 'transactions-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(closeApplications);

interface Shop extends Application {
  readonly sent: unknown[];
  /** Ids of transactions of which nobody can say what became of them. */
  readonly parked: readonly string[];
}

/** Three are parked. */
async function start(store: TransactionRecordStoreFactory, service = 'shop'): Promise<Shop> {
  const transactions = { store, ...{ timeout: 1, grace: 1, checks: 1, lease: 300, backoff: fixed(5) } };
  const app = await boot({
    imports: [MessagingModule.forRoot({ service, transport: memory(), transactions })],
    providers: [Orders],
  });
  const { messaging } = app;
  const sent: unknown[] = [];
  await messaging.subscribe({ route: '#' }, (body) => void sent.push(body));
  const options = { headers: { tenant: 'ada' } };
  const parked: string[] = [];
  for (const n of [1, 2, 3]) {
    const local = ({ id }: { id: string }): Promise<never> => {
      parked.push(id);
      return Promise.reject(new Error('connection reset'));
    };
    await expect(
      messaging.publisher.publishInTransaction('order.created', { n }, local, options),
    ).rejects.toMatchObject({ code: 'TRANSACTION_UNKNOWN' });
  }
  await waitFor(async () => (await messaging.transactions.list({ state: 'parked' })).length === 3);
  return { ...app, sent, parked };
}

function commands(place: () => Promise<{ readonly records: string; readonly store: TransactionRecordStoreFactory }>) {
  test('parked ones are listed, shown and decided, and an application does what was decided', async () => {
    const { records, store } = await place();
    const { parked, sent, messaging, get } = await start(store);
    const at = ['--records', records];
    const list = await run({}, 'list', ...at);
    expect([list.code, list.stderr]).toEqual([0, '']);
    for (const id of parked) expect(list.stdout).toContain(id);
    expect(list.stdout).toContain('Orders.wasCreated does not know');
    expect(list.stdout).toMatch(/3 listed; there are 0 prepared, 0 unknown, 3 parked, 0 committed\n$/);
    const first = await run({ TRANSACTION_RECORDS: records }, 'list', '--limit', '1', '--json');
    expect(JSON.parse(first.stdout)).toEqual([
      {
        ...{ id: parked[0], messageId: expect.any(String), route: 'order.created', state: 'parked', checks: 1 },
        ...{ reason: 'Orders.wasCreated does not know', preparedAt: expect.stringMatching(/^\d{4}-.*Z$/) },
        ...{ headers: expect.objectContaining({ tenant: 'ada' }), body: '{"n":1}', encoding: 'utf8' },
      },
    ]);
    const shown = await run({}, 'show', ...at, '--id', parked[1]);
    for (const text of [parked[1], 'order.created', 'parked', 'tenant: ada', '{"n":2}']) expect(shown.stdout).toContain(text); // prettier-ignore
    expect((await run({}, 'show', ...at, '--id', parked[1], '--body')).stdout).toBe('{"n":2}');

    const decide = (id: string, outcome: string, ...more: string[]): Promise<Run> =>
      run({}, 'decide', ...at, '--id', id, '--outcome', outcome, ...more);
    expect(await decide(parked[1], 'rolled-back')).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
    expect(await decide(parked[0], 'committed')).toMatchObject({ code: 0, stderr: '' });
    expect(await decide(parked[1], 'rolled-back', '--yes', '--json')).toMatchObject({
      code: 0,
      stdout: `${JSON.stringify({ id: parked[1], outcome: 'rolled-back' })}\n`,
    });
    get(Orders).outcome = 'committed';
    expect(await decide(parked[2], 'unknown')).toMatchObject({ code: 0 });
    await waitFor(() => sent.length === 2, 'what was decided is sent');
    await waitFor(async () => (await messaging.transactions.list()).length === 0);
    expect(sent).toEqual(expect.arrayContaining([{ n: 1 }, { n: 3 }]));
    expect(await decide(parked[0], 'committed')).toMatchObject({ code: 1, stderr: 'There is no parked transaction with this id\n' }); // prettier-ignore
    expect(await run({}, 'show', ...at, '--id', parked[0])).toMatchObject({ code: 1, stdout: '' });
    expect((await run({}, 'list', ...at)).stdout).toMatch(/^0 listed/);
  });

  test('of several applications in one place it has to be said which is meant', async () => {
    const { records, store } = await place();
    const { parked } = await start(store, 'shop');
    await start(store, 'mails');
    const refused = await run({}, 'list', '--records', records);
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    const [, names] = /--destination is required .*: (.*)\. See/.exec(refused.stderr)!;
    const destination = names.split(', ').find((name) => name.startsWith('shop:'))!;
    const { stdout } = await run({}, 'list', '--records', records, '--destination', destination, '--json');
    expect((JSON.parse(stdout) as { id: string }[]).map(({ id }) => id)).toEqual(parked);
  });
}

describe('the transactions commands', () => {
  let files = 0;
  describe('on a file', () => {
    commands(async () => {
      const records = join(folder, `${++files}.sqlite`);
      return { records, store: sqliteTransactionRecords({ file: records }) };
    });
  });

  test.each<[string[], string]>([
    [['list'], '--records is required, or TRANSACTION_RECORDS'],
    [['list', '--records', 'a', '--schema', 'b'], '--schema goes with records in PostgreSQL'],
    [['list', '--records', 'a', '--state', 'lost'], '--state takes prepared, unknown, parked, committed or all'],
    [['list', '--records', 'a', '--limit', '0'], '--limit takes a number from 1'],
    [['show', '--records', 'a'], '--id is required'],
    [['show', '--records', 'a', '--id', 'b', '--body', '--json'], 'do not go together'],
    [['decide', '--records', 'a', '--id', 'b'], '--outcome is required: committed, rolled-back, unknown'],
    [['decide', '--records', 'a', '--id', 'b', '--outcome', 'toString'], '--outcome is required'],
    [['decide', '--records', 'a', '--id', 'b', '--outcome', 'rolled-back'], '--yes is required'],
  ])('%j is refused with what to do', async (args, text) => {
    const { code, stdout, stderr } = await run({}, ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(text);
  });

  test('a file that is none, or something else, is left as it is', async () => {
    const missing = join(folder, 'missing.sqlite');
    expect(await run({}, 'list', '--records', missing)).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no such file') }); // prettier-ignore
    expect(existsSync(missing)).toBe(false);
    const other = join(folder, 'other.sqlite');
    writeFileSync(other, 'a text');
    expect(await run({}, 'list', '--records', other)).toMatchObject({ code: 1, stderr: expect.stringContaining('was left as it is') }); // prettier-ignore
    const away = await run({}, 'list', '--records', 'postgres://ada:hidden@127.0.0.1:1/shop');
    expect(away).toMatchObject({ code: 1, stderr: expect.stringContaining('ECONNREFUSED') });
    expect(away.stderr).not.toContain('hidden');
  });
});

describePostgres('the transactions commands', (postgres) => {
  commands(async () => {
    const records = await postgres.url();
    return { records, store: postgresTransactionRecords({ url: records }) };
  });

  test('a database without records is left as it is', async () => {
    const records = await postgres.url();
    const { code, stderr } = await run({}, 'list', '--records', records, '--schema', 'nothing');
    expect([code, stderr]).toEqual([1, expect.stringContaining('There is no store of transaction records')]);
  });
});
