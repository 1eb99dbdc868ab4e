import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { sqliteDeadLetterArchive, systemClock } from 'nestjs-messaging';
import { loadSqlite, type SqliteDatabase } from '../../lib/clients/sqlite.js';
import type { ArchivedEntry } from '../../lib/dead-letter/dead-letter-archive.js';
import { QueueFile } from '../../lib/durable-queue/queue-file.js';
import { waitFor } from '../brokers/wait-for.js';
import { bodyOf, BrokerClient, DLQ, ids, QUEUE } from './support/broker-client.js';
import { describeBoth, type FreshBroker } from './support/describe-both.js';
import { Places } from './support/places.js';
import { type Run, run } from './support/run.js';

const places = new Places();
afterAll(() => places.close());

const NOWHERE = { AMQP_URL: 'amqp://ada:secret@127.0.0.1:1' };
const without = (...args: string[]): Promise<Run> => run({}, ...args);

async function inSqlite<T>(file: string, work: (database: SqliteDatabase) => T): Promise<T> {
  const database = (await loadSqlite('a test')).open(file);
  try {
    return work(database);
  } finally {
    database.close();
  }
}

async function archived(file: string): Promise<ArchivedEntry[]> {
  const archive = sqliteDeadLetterArchive({ file }).create({ clock: systemClock });
  const all = await archive.page({}, 0, 10_000);
  await archive.close();
  return all;
}

const idsOf = (entries: readonly ArchivedEntry[]): string[] => entries.map(({ message }) => message.id);

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

describe('the dead-letters commands with --archive', () => {
  test('list and show what is in it, with the filters and as JSON, without a broker', async () => {
    const file = await places.archive(ids(4), (id) => (id === 'm2' ? { tenant: 'eve' } : {}));
    const table = await without('list', '--archive', file, '--limit', '3');
    expect(table).toMatchObject({ code: 0, stderr: '' });
    expect(table.stdout).toMatch(/m0 +order\.paid +attempts-exhausted +8 +PaymentError: declined/);
    expect(table.stdout).toContain('3 listed of 4 in the archive; the next ones with --offset 3');
    const one = await without('list', '--archive', file, '--header', 'tenant=eve', '--newer-than', '1h', '--json');
    expect(JSON.parse(one.stdout)).toMatchObject([
      { id: 'm2', deadLetterQueue: DLQ, allowRetry: false, archivedAt: expect.stringMatching(/^\d{4}-.*Z$/) },
    ]);
    const shown = await without('show', '--archive', file, '--id', 'm1');
    for (const text of ['m1', DLQ, 'declined', 'allow retry        no']) expect(shown.stdout).toContain(text);
    expect(await without('show', '--archive', file, '--id', 'gone')).toMatchObject({ code: 1, stdout: '' });
  });

  test('delete takes what is selected and nothing else', async () => {
    const file = await places.archive(ids(4));
    expect(await without('delete', '--archive', file, '--id', 'm1', '--id', 'm3', '--yes')).toMatchObject({
      code: 0,
      stdout: '2 dead letters are deleted\n',
    });
    expect(idsOf(await archived(file))).toEqual(['m0', 'm2']);
    expect(await without('delete', '--archive', file, '--all', '--yes', '--json')).toMatchObject({
      stdout: '{"deleted":2}\n',
    });
  });

  test('redrive --allow-retry lets the applications send them, or not any more', async () => {
    const file = await places.archive(ids(3));
    const redrive = (...args: string[]): Promise<Run> => without('redrive', '--archive', file, ...args);
    expect(await redrive('--allow-retry', 'yes', '--id', 'm1')).toMatchObject({
      code: 0,
      stdout: '1 will be sent by their applications\n',
    });
    expect((await archived(file)).map(({ allowRetry }) => allowRetry)).toEqual([false, true, false]);
    expect(await redrive('--allow-retry', 'no', '--json')).toMatchObject({ code: 0, stdout: '{"withdrawn":3}\n' });
    expect((await archived(file)).some(({ allowRetry }) => allowRetry)).toBe(false);
    expect(await redrive('--dry-run', '--route', 'order.*')).toMatchObject({
      code: 0,
      stdout: '3 of 3 would be redriven\n',
    });
  });

  test.each<[string, string, (file: string) => unknown]>([
    ['missing', 'there is no such file', () => undefined],
    ['no database', 'file is not a database', (file) => writeFileSync(file, 'plain text, not a database. '.repeat(99))],
    [
      'somebody else’s',
      'no dead-letter archive',
      (file) => inSqlite(file, (database) => database.exec('CREATE TABLE orders (id); PRAGMA user_version = 1')),
    ],
    ['empty', 'no dead-letter archive', (file) => writeFileSync(file, '')],
  ])('a file that is %s is refused by each of them, and left as it is', async (_, text, make) => {
    const file = places.newPath();
    await make(file);
    const before = existsSync(file) && digest(file);
    for (const args of [
      ['list'],
      ['show', '--id', 'a'],
      ['delete', '--all', '--yes'],
      ['redrive'],
      ['redrive', '--allow-retry', 'yes'],
    ]) {
      const { code, stdout, stderr } = await run(NOWHERE, ...args, '--archive', file);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(`${file} cannot be used as a dead-letter archive, and was left as it is`);
      expect(stderr).toContain(text);
    }
    expect(existsSync(file) && digest(file)).toBe(before);
  });

  test('one of a later version is refused, and left as it is', async () => {
    const file = places.newPath();
    await inSqlite(file, (database) => database.exec('CREATE TABLE dead_letters (seq); PRAGMA user_version = 99'));
    const before = digest(file);
    const { code, stderr } = await without('delete', '--archive', file, '--all', '--yes');
    expect(code).toBe(1);
    expect(stderr).toContain('it is of version 99, and this package knows 1');
    expect(digest(file)).toBe(before);
  });
});

describe('the dead-letters commands with --retry-queue', () => {
  test('list and show the publisher’s own, also while its application uses the folder', async () => {
    const folder = await places.retryQueue(ids(3), true);
    const { code, stdout } = await without('list', '--retry-queue', folder);
    expect(code).toBe(0);
    expect(stdout).toMatch(/m0 +order\.paid +unsendable +3 +MessageTooLargeError: too large/);
    expect(stdout).toContain('3 listed of 3 in the retry queue');
    const filtered = await without('list', '--retry-queue', folder, '--header', 'tenant=eve', '--json');
    expect(JSON.parse(filtered.stdout)).toMatchObject([{ id: 'm1', body: bodyOf('m1').toString() }]);
    expect((await without('show', '--retry-queue', folder, '--id', 'm2', '--body')).stdout).toBe(
      bodyOf('m2').toString(),
    );
  });

  test('delete and redrive refuse a folder that an application is using, with exit code 3', async () => {
    const folder = await places.retryQueue(ids(2), true);
    for (const args of [['delete', '--all', '--yes'], ['redrive']]) {
      const { code, stderr } = await run(NOWHERE, ...args, '--retry-queue', folder);
      expect({ code, stderr }).toEqual({
        code: 3,
        stderr: `${folder} is in use by a running application: stop it first\n`,
      });
    }
    expect((await without('list', '--retry-queue', folder, '--json')).stdout).toContain('m1');
  });

  test('delete takes what is selected, and leaves what waits to be sent', async () => {
    const folder = await places.retryQueue(ids(3));
    expect(await without('delete', '--retry-queue', folder, '--header', 'tenant=eve', '--yes')).toMatchObject({
      code: 0,
      stdout: '1 dead letters are deleted\n',
    });
    expect(await places.found(folder)).toEqual({ waiting: ['waiting'], dead: ['m0', 'm2'] });
  });

  test('several files of a folder are one place, page by page', async () => {
    const [folder, other] = [await places.retryQueue(ids(60)), await places.retryQueue(ids(60, 'n'))];
    for (const name of readdirSync(other)) copyFileSync(join(other, name), join(folder, name));
    const listed = await without('list', '--retry-queue', folder, '--limit', '1000', '--json');
    const found = (JSON.parse(listed.stdout) as { id: string }[]).map(({ id }) => id);
    expect(found.sort()).toEqual([...ids(60), ...ids(60, 'n')].sort());
    expect(await without('delete', '--retry-queue', folder, '--id', 'n7', '--id', 'm9', '--yes')).toMatchObject({
      stdout: '2 dead letters are deleted\n',
    });
    expect((await without('list', '--retry-queue', folder)).stdout).toContain('20 listed of 118 in the retry queue');
  });

  test('of several applications in one folder only those of the destination that is named are changed', async () => {
    const folder = await places.retryQueue(ids(3));
    const [name] = readdirSync(folder).filter((entry) => entry.endsWith('.queue'));
    copyFileSync(join(folder, name), join(folder, 'other.queue'));
    await inSqlite(join(folder, 'other.queue'), (database) =>
      database.exec("UPDATE destination SET name = 'other:default:memory:events'"),
    );
    const refused = await without('delete', '--all', '--yes', '--retry-queue', folder);
    expect(refused.stderr).toContain('--destination');
    expect(refused.stderr).toContain('other:default:memory:events');
    expect((await without('list', '--retry-queue', folder)).stdout).toContain('6 listed of 6');
    const mine = ['--retry-queue', folder, '--destination', 'other:default:memory:events'];
    expect((await without('list', ...mine)).stdout).toContain('3 listed of 3');
    expect(await without('delete', '--all', '--yes', ...mine)).toMatchObject({
      stdout: '3 dead letters are deleted\n',
    });
    expect((await without('list', '--retry-queue', folder)).stdout).toContain('3 listed of 3');
  });

  test('what a process had adopted when it died is there once', async () => {
    const folder = await places.retryQueue(ids(3));
    const [name] = readdirSync(folder).filter((entry) => entry.endsWith('.queue'));
    copyFileSync(join(folder, name), join(folder, 'adopter.queue'));
    const file = QueueFile.open(await loadSqlite('a test'), join(folder, 'adopter.queue'));
    const dead = file.deadAfter('', 0, 2);
    file.adoptions.setMark({ file: name.replace('.queue', ''), entries: 0, dead: dead[1].seq });
    file.close();
    for (const args of [['list'], ['redrive', '--dry-run']])
      expect((await without(...args, '--retry-queue', folder)).stdout).toMatch(/4 listed of 4|4 of 4 would be/);
    expect(await without('delete', '--all', '--yes', '--retry-queue', folder)).toMatchObject({
      stdout: '4 dead letters are deleted\n',
    });
  });

  test.each<[string, string, (file: string) => unknown]>([
    ['damaged', 'file is not a database', (file) => writeFileSync(file, 'plain text, not a database. '.repeat(99))],
    [
      'somebody else’s',
      'a database of another application',
      (file) => inSqlite(file, (database) => database.exec('CREATE TABLE orders (id)')),
    ],
    [
      'of a later version',
      'a later version of this package (format 99',
      (file) =>
        inSqlite(file, (database) => database.exec(`PRAGMA application_id = ${0x6e6d7371}; PRAGMA user_version = 99`)),
    ],
  ])('a folder with a file that is %s is refused, and left as it is', async (_, text, make) => {
    const folder = await places.retryQueue(ids(2));
    const file = join(folder, 'zzz.queue');
    await make(file);
    const before = digest(file);
    for (const args of [['list'], ['delete', '--all', '--yes'], ['redrive']]) {
      const { code, stderr } = await run(NOWHERE, ...args, '--retry-queue', folder);
      expect(code).toBe(1);
      expect(stderr).toContain(`${file} cannot be used, and was left as it is`);
      expect(stderr).toContain(text);
    }
    expect(digest(file)).toBe(before);
  });

  test('a folder that is not there, and that of a requeue service, are refused with what to do', async () => {
    const missing = await without('list', '--retry-queue', places.newPath());
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('allowed: a directory that exists') });
    const folder = places.newPath();
    mkdirSync(folder);
    const file = QueueFile.open(await loadSqlite('a test'), join(folder, 'a.queue'));
    file.addTotals('orders', { depth: 0, bytes: 0, dead: 1 });
    file.close();
    const service = await without('delete', '--all', '--yes', '--retry-queue', folder);
    expect(service).toMatchObject({ code: 2, stderr: expect.stringContaining('is for the command requeue') });
  });
});

describe('flags that contradict each other', () => {
  test.each<[string[], string]>([
    [['list', '--archive', 'a', '--queue', DLQ], '--queue and --archive do not go together: one place at a time'],
    [['list', '--archive', 'a', '--retry-queue', 'b'], '--archive and --retry-queue do not go together'],
    [['list', '--retry-queue', ''], '--retry-queue takes a path'],
    [
      ['list', '--archive', 'a', '--exchange', 'x'],
      '--exchange does not fit: no broker is needed for this with --archive',
    ],
    [['delete', '--retry-queue', 'a', '--all', '--yes', '--timeout', '1s'], '--timeout does not fit'],
    [['redrive', '--retry-queue', 'a', '--canary'], 'try --limit 1 first'],
    [['redrive', '--queue', DLQ, '--allow-retry', 'yes'], '--allow-retry needs --archive'],
    [
      ['redrive', '--archive', 'a', '--queue', DLQ, '--allow-retry', 'yes'],
      '--allow-retry needs --archive, and no other',
    ],
    [['redrive', '--archive', 'a', '--allow-retry', 'maybe'], '--allow-retry takes yes or no'],
    [['redrive', '--archive', 'a', '--allow-retry', 'yes', '--rate', '5'], '--rate does not fit --allow-retry'],
    [['redrive', '--archive', 'a', '--allow-retry', 'no', '--canary'], '--canary does not fit --allow-retry'],
    [['redrive', '--archive', 'a', '--allow-retry', 'no', '--stream', 'x'], '--stream does not fit'],
  ])('%j is refused with what to do', async (args, text) => {
    const { code, stdout, stderr } = await run(NOWHERE, ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(text);
  });

  test('a redrive without a broker says how it is told', async () => {
    const named = [
      ['--archive', await places.archive(ids(1))],
      ['--retry-queue', await places.retryQueue(ids(1))],
    ];
    for (const place of named) {
      expect(await without('redrive', ...place)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('--broker is required, or BROKER_URL'),
      });
    }
  });
});

describeBoth('a redrive from another place than a queue', (fresh) => {
  let broker: FreshBroker;
  let client: BrokerClient;
  const cli = (...args: string[]): Promise<Run> => run(broker.env, 'redrive', ...args);

  beforeAll(async () => {
    broker = await fresh();
    client = await BrokerClient.connect(broker.factory);
    await client.consume();
  }, 60_000);
  afterEach(() => void client.received.splice(0));
  afterAll(() => client.close());

  test('sends what is selected of an archive as first attempts, and it leaves the archive', async () => {
    const file = await places.archive(ids(60), (id) => (id === 'm7' ? { tenant: 'eve' } : {}));
    const limited = await cli('--archive', file, '--header', 'tenant=ada', '--limit', '4');
    expect(limited).toMatchObject({ code: 4, stdout: expect.stringContaining('Stopped at the limit') });
    const rest = await cli('--archive', file, '--header', 'tenant=ada', '--json');
    expect(JSON.parse(rest.stdout)).toMatchObject({ done: 55, failed: [], examined: 56, matched: 55, arrived: 0 });
    expect(rest.code).toBe(0);
    expect(idsOf(await archived(file))).toEqual(['m7']);
    await waitFor(() => client.received.length === 59, 'all of them', 30_000);
    expect(new Set(client.receivedIds)).toEqual(new Set(ids(60).filter((id) => id !== 'm7')));
    for (const { id, body, headers } of client.received) {
      expect(body.equals(bodyOf(id))).toBe(true);
      expect(headers).toMatchObject({ tenant: 'ada', 'messaging-attempt': 1 });
      expect(headers).not.toHaveProperty('messaging-reason');
    }
  });

  test('leaves what another process is sending, and what no queue takes, and tells both', async () => {
    const file = await places.archive(ids(3), (id) =>
      id === 'm2' ? { 'messaging-origin-queue': 'shop:no:queue' } : {},
    );
    await inSqlite(file, (database) =>
      database.exec("UPDATE dead_letters SET token = 'other', claimed_until = 9e15 WHERE id = 'm1'"),
    );
    const { code, stdout } = await cli('--archive', file);
    expect(code).toBe(1);
    expect(stdout).toContain('1 redriven, 2 failed');
    expect(stdout).toContain('m1: DEAD_LETTER_HELD');
    expect(stdout).toContain('m2: UNROUTABLE');
    const left = await inSqlite(file, (database) => database.prepare('SELECT id, token FROM dead_letters').all());
    expect(left.map(({ id, token }) => [id, token])).toEqual([
      ['m1', 'other'],
      ['m2', null],
    ]);
  });

  test('stops at a canary that is in its dead-letter queue again', async () => {
    const file = await places.archive(ids(5));
    // There before its window begins: no wait is long enough for a busy machine.
    await client.fill(['m1']);
    await client.untilDepth(1);
    const stopped = await cli('--archive', file, '--canary', '--canary-stages', '1,2', '--canary-window', '50ms');
    expect(stopped).toMatchObject({ code: 4, stdout: expect.stringContaining('1 came back') });
    expect(idsOf(await archived(file))).toEqual(['m3', 'm4']);
    await waitFor(() => client.received.length === 3, 'three canaries', 30_000);
    await run(broker.env, 'delete', '--queue', DLQ, '--all', '--yes');
  });

  test('sends the publisher’s own where they were meant to go, and leaves what waits', async () => {
    const folder = await places.retryQueue(ids(60));
    expect(await cli('--retry-queue', folder, '--dry-run')).toMatchObject({ stdout: '60 of 60 would be redriven\n' });
    expect(await cli('--retry-queue', folder, '--header', 'tenant=ada')).toMatchObject({
      code: 0,
      stdout: '59 redriven, 0 failed, 60 looked at\n',
    });
    expect(await places.found(folder)).toEqual({ waiting: ['waiting'], dead: ['m1'] });
    await waitFor(() => client.received.length === 59, 'all of them', 30_000);
    for (const { id, body, headers } of client.received) {
      expect(body.equals(bodyOf(id))).toBe(true);
      expect(headers).toMatchObject({ tenant: 'ada' });
    }
    await client.untilDepth(0, QUEUE);
  });
});
