import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { loadSqlite } from '../../lib/clients/sqlite.js';
import { claimAll } from '../../lib/durable-queue/directory-claim.js';
import { QueueDirectory } from '../../lib/durable-queue/queue-directory.js';
import { QueueFile } from '../../lib/durable-queue/queue-file.js';
import { inspectDirectory } from '../../lib/requeue/data-directory.js';
import { writeMeta } from '../../lib/requeue/requeue-meta.js';
import { type Run, run } from './support/run.js';

let folder: string;
const cli = (command: string, ...args: string[]): Promise<Run> =>
  run({ BROKER_URL: 'amqp://ada:secret@127.0.0.1:1' }, command, '--data-dir', folder, ...args);
const ids = async (): Promise<string[]> =>
  (JSON.parse((await cli('list', '--json')).stdout) as { id: string }[]).map(({ id }) => id);
const depth = async (): Promise<number> =>
  (await inspectDirectory(folder, Date.now(), 10)).queues.reduce((sum, queue) => sum + queue.depth, 0);

/** As a requeue service leaves them: two that had no attempts left, and one that it had refused. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'requeue-place-'));
  const file = QueueFile.open(await loadSqlite('This test'), join(folder, 'one.queue'));
  file.transaction(() => {
    for (const [at, id] of ['ink', 'pen', 'odd'].entries()) {
      const meta = writeMeta({ subject: `orders.${id}`, headers: [['tenant', [id === 'ink' ? 'ada' : 'eve']]] });
      const entry = { seq: at + 1, queue: 'orders', id, attempts: 3, bytes: 2, meta, body: Buffer.from('{}') };
      const reason = id === 'odd' ? 'refused' : 'attempts-exhausted';
      const death = { reason, errorClass: 'Error', errorCode: 'NO_REPLY', errorMessage: 'no reply', time: Date.now() };
      file.insertDead(entry, death);
      file.addTotals('orders', { depth: 0, bytes: 0, dead: 1 });
    }
  });
  file.close();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the dead letters of a requeue service', () => {
  test('are listed, selected and shown like those of a queue', async () => {
    const { code, stdout } = await cli('list');
    expect(code).toBe(0);
    expect(stdout).toMatch(/ink +orders\.ink +attempts-exhausted +3 +Error: no reply\n/);
    expect(stdout).toContain('3 listed of 3 in the folder');
    expect(await ids()).toEqual(['ink', 'pen', 'odd']);
    const page = await cli('list', '--header', 'tenant=eve', '--limit', '1', '--offset', '1', '--json');
    expect(JSON.parse(page.stdout)).toMatchObject([{ id: 'odd', route: 'orders.odd', origin: { queue: 'orders' } }]);
    expect((await cli('show', '--id', 'pen', '--body')).stdout).toBe('{}');
  });

  test('go back into their queue where they are selected; one that was refused stays, and is told', async () => {
    expect((await cli('redrive', '--dry-run', '--id', 'ink')).stdout).toBe('1 of 3 would be redriven\n');
    expect(await cli('redrive', '--limit', '1')).toMatchObject({ code: 4 });
    expect(await ids()).toEqual(['pen', 'odd']);
    const rest = await cli('redrive');
    expect(rest).toMatchObject({ code: 1, stdout: expect.stringContaining('1 redriven, 1 failed, 2 looked at') });
    expect(rest.stdout).toContain('odd: UNSUPPORTED: the service has refused it');
    expect(await ids()).toEqual(['odd']);
    expect(await depth()).toBe(2);
  });

  test('are deleted where they are selected', async () => {
    expect((await cli('delete', '--route', 'orders.pen', '--yes')).stdout).toBe('1 dead letters are deleted\n');
    expect(await ids()).toEqual(['ink', 'odd']);
    expect((await cli('delete', '--all', '--yes')).stdout).toBe('2 dead letters are deleted\n');
    expect(await depth()).toBe(0);
  });

  test('are only read while a service is using the folder: the rest ends with exit code 3', async () => {
    const directory = new QueueDirectory(folder, await loadSqlite('This test'), 'dataDir');
    const claimed = claimAll(directory, 'service');
    try {
      expect(await ids()).toHaveLength(3);
      expect(await cli('redrive')).toMatchObject({ code: 3, stdout: '' });
      expect(await cli('delete', '--all', '--yes')).toMatchObject({ code: 3, stdout: '' });
      expect(await ids()).toHaveLength(3);
    } finally {
      for (const { lock } of claimed) lock.release();
    }
  });

  test.each<[string, string[], string]>([
    ['redrive', ['--rate', '5'], '--rate does not fit --data-dir'],
    ['redrive', ['--canary'], '--canary does not fit --data-dir'],
    ['redrive', ['--broker', 'amqp://h'], '--broker does not fit: no broker is needed'],
    ['list', ['--queue', 'q'], '--queue and --data-dir do not go together'],
  ])('%s %j is refused with what to do', async (command, args, text) => {
    const { code, stdout, stderr } = await cli(command, ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(text);
  });

  test('a folder that is not there is told', async () => {
    const gone = await run({}, 'list', '--data-dir', join(folder, 'gone'));
    expect(gone).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--data-dir is') });
  });
});
