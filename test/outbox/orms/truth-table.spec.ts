import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import { describePostgres } from '../../brokers/postgres.js';
import { waitFor } from '../../brokers/wait-for.js';
import { closeApplications, type OutboxApplication, startApplication } from '../application.js';
import { installLibraries, requireFrom } from './install.js';
import { libraries, type Library, type Session } from './libraries.js';

/** What a library says at the end of a transaction in which an error was swallowed. */
const REJECTS_SWALLOWED: readonly string[] = ['Kysely'];

const installed = installLibraries();

const versionOf = ({ package: name }: Library): string => {
  if (installed.folder === undefined) return `: ${installed.reason}`;
  return (requireFrom(installed.folder)(`./node_modules/${name}/package.json`) as { version: string }).version;
};

describePostgres('the outbox in transactions of others', (postgres) => {
  let application: OutboxApplication;
  let pool: Pool;
  let url: string;

  beforeAll(async () => {
    url = await postgres.url();
    // Nobody sends: what is stored stays to be seen.
    application = await startApplication({ url, relay: false });
    pool = new Pool({ connectionString: url });
    // The server may end first.
    pool.on('error', () => undefined);
    await pool.query('create table accounts (id int primary key, note text not null)');
  }, 60_000);
  afterAll(async () => {
    await pool.end();
    await closeApplications();
  });

  /** Ids of accounts, and of the messages that tell of them. */
  async function stored(): Promise<{ accounts: number[]; messages: number[] }> {
    const accounts = await pool.query<{ id: number }>('select id from accounts order by id');
    const messages = await pool.query<{ payload: Buffer }>('select payload from messaging.outbox');
    const numbers = messages.rows.map(({ payload }) => (JSON.parse(payload.toString()) as { id: number }).id);
    return { accounts: accounts.rows.map(({ id }) => id), messages: numbers.sort((a, b) => a - b) };
  }

  const both = (...ids: number[]): { accounts: number[]; messages: number[] } => ({ accounts: ids, messages: ids });

  for (const library of libraries) {
    const block = installed.reason === undefined ? describe : describe.skip;
    block(`${library.name} ${versionOf(library)}`, () => {
      let session: Session;

      beforeAll(async () => {
        session = await library.open(requireFrom(installed.folder!), url, installed.folder!);
      }, 60_000);
      afterAll(() => session?.close());
      // Each test has the tables to itself.
      const empty = (): Promise<unknown> => pool.query('truncate accounts, messaging.outbox');

      /** An account, and the message that tells of it. */
      async function create(tx: unknown, id: number): Promise<void> {
        await session.query(tx, `insert into accounts values (${id}, 'it''s?')`);
        await application.outbox.add(tx as never, 'account.created', { id, text: `'?$1:name\\ä` }, { key: `${id}` });
      }

      const outcome = (promise: Promise<unknown>): Promise<'resolves' | 'rejects'> =>
        promise.then(
          () => 'resolves',
          () => 'rejects',
        );

      test('commits and rolls back both', async () => {
        await empty();
        await session.transaction(async (tx) => {
          await create(tx, 1);
          await create(tx, 2);
        });
        const failing = session.transaction(async (tx) => {
          await create(tx, 3);
          throw new Error('thought better of it');
        });
        await expect(failing).rejects.toThrow('thought better of it');
        expect(await stored()).toEqual(both(1, 2));
      });

      test('keeps every byte', async () => {
        await empty();
        const body = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
        const headers = { text: `?$1 \\ ' " \u{1F600}`, bytes: body, yes: true, list: [1, 'two', null] };
        await session.transaction((tx) => application.outbox.add(tx as never, 'bytes', body, { headers, delay: 60_000, ttl: 120_000 })); // prettier-ignore
        const { rows } = await pool.query(`select payload, headers->>'text' as text, headers->'bytes' as bytes,
          due > now() + interval '50 s' as later, expires_at is not null as expires from messaging.outbox`);
        expect(rows).toEqual([{ payload: body, text: headers.text, bytes: { $bytes: body.toString('base64') }, later: true, expires: true }]); // prettier-ignore
      });

      test('stores nothing where an error was swallowed, whatever the library says', async () => {
        await empty();
        const said = await outcome(
          session.transaction(async (tx) => {
            await create(tx, 1);
            await outcome(session.query(tx, 'select 1 / 0'));
            await outcome(create(tx, 2));
          }),
        );
        if (library.name !== 'pg') expect(said).toBe(REJECTS_SWALLOWED.includes(library.name) ? 'rejects' : 'resolves');
        expect(await stored()).toEqual(both());
      });

      test('refuses what is no transaction, and stores nothing', async () => {
        await empty();
        const adding = application.outbox.add(session.plain as never, 'account.created', { id: 1 });
        await expect(adding).rejects.toMatchObject({ code: 'NOT_IN_TRANSACTION' });
        expect(await stored()).toEqual(both());
      });

      test('refuses a transaction that has ended, and stores nothing', async () => {
        await empty();
        let ended: unknown;
        await session.transaction(async (tx) => {
          ended = tx;
          await create(tx, 1);
        });
        await expect(application.outbox.add(ended as never, 'account.created', { id: 2 })).rejects.toThrow();
        expect(await stored()).toEqual(both(1));
      });

      test('a message that nobody awaited is stored with the rest, or not at all', async () => {
        await empty();
        let adding!: Promise<unknown>;
        await outcome(
          session.transaction(async (tx) => {
            await session.query(tx, `insert into accounts values (1, '')`);
            adding = application.outbox.add(tx as never, 'account.created', { id: 1 });
          }),
        );
        const added = await outcome(adding);
        const { accounts, messages } = await stored();
        expect(accounts).toEqual([1]);
        expect(messages).toEqual(added === 'resolves' ? [1] : []);
      });

      test('nested: what the inner one undoes is not sent', async () => {
        if (!session.nested) return;
        await empty();
        await session.transaction(async (tx) => {
          await create(tx, 1);
          await outcome(session.nested!(tx, (inner) => create(inner, 2)));
          const undone = session.nested!(tx, async (inner) => {
            await create(inner, 3);
            throw new Error('not this one');
          });
          await outcome(undone);
          await create(tx, 4);
        });
        const { accounts, messages } = await stored();
        expect(messages).toEqual(accounts);
        expect(messages).toEqual([1, 2, 4]);
      });

      test('two nested at once: a message is stored where its account is', async () => {
        if (!session.nested || library.name === 'pg') return;
        await empty();
        await outcome(
          session.transaction(async (tx) => {
            await create(tx, 1);
            await Promise.all([2, 3].map((id) => outcome(session.nested!(tx, (inner) => create(inner, id)))));
          }),
        );
        const { accounts, messages } = await stored();
        expect(messages).toEqual(accounts);
      });
    });
  }

  test('all that was stored is sent', async () => {
    if (installed.folder === undefined) return;
    await pool.query('truncate accounts, messaging.outbox');
    const ids = libraries.map((_, at) => at + 1);
    for (const [at, library] of libraries.entries()) {
      const session = await library.open(requireFrom(installed.folder), url, installed.folder);
      await session.transaction((tx) => application.outbox.add(tx as never, 'sent', { id: ids[at] }));
      await session.close();
    }
    const { received } = await startApplication({ url, pollInterval: 20 });
    await waitFor(() => received.get('sent')?.length === ids.length);
    expect(received.get('sent')).toEqual(expect.arrayContaining(ids.map((id) => ({ id }))));
  });
});
