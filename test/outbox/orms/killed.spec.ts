import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import { describePostgresNode } from '../../brokers/postgres.js';
import { waitFor } from '../../brokers/wait-for.js';
import { PlainTransport, closeTransports } from '../../postgres/client.js';
import { installLibraries, requireFrom } from './install.js';
import { libraries } from './libraries.js';

const MESSAGES = process.env.LONG_RUNS ? 10_000 : 60;
const KILLS = process.env.LONG_RUNS ? 100 : 3;
const PROCESSES = 2;

const installed = installLibraries();

describePostgresNode('processes that are killed while they handle', (postgres) => {
  const target = resolve(__dirname, `../../../.build/outbox-${process.pid}`);
  const running = new Set<ChildProcess>();

  beforeAll(async () => {
    const script = '../../../scripts/compile.mjs';
    const fault = '../../fault/compile.mjs';
    const { compileFolder } = (await import(script)) as { compileFolder(from: string, to: string, kind: string): void };
    const { writePackageFile } = (await import(fault)) as { writePackageFile(folder: string): void };
    writePackageFile(target);
    for (const source of ['lib', 'test/outbox', 'test/brokers'])
      compileFolder(resolve(__dirname, '../../..', source), resolve(target, source), 'commonjs');
  }, 60_000);
  afterAll(() => {
    for (const child of running) child.kill('SIGKILL');
    rmSync(target, { recursive: true, force: true });
  });

  const start = async (...args: string[]): Promise<ChildProcess> => {
    const child = fork(resolve(target, 'test/outbox/orms/worker.js'), args, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    child.stderr!.on('data', (text: Buffer) => (said += text.toString()));
    running.add(child);
    const ended = once(child, 'exit').then(() => {
      running.delete(child);
      return said;
    });
    const ready = await Promise.race([once(child, 'message'), ended]);
    if (typeof ready === 'string') throw new Error(`The worker ended: ${ready}`);
    return child;
  };

  for (const name of ['pg', 'typeorm', '@prisma/client']) {
    const run = installed.folder !== undefined && postgres.newest ? test : test.skip;
    run(
      `through ${name}: each message, delivered three times, has one effect and one message`,
      async () => {
        const url = await postgres.url();
        const folder = installed.folder!;
        const pool = new Pool({ connectionString: url });
        pool.on('error', () => undefined);
        // No constraint helps: what is done twice is seen.
        await pool.query('create table effects (n int)');
        // Which compiles what Prisma has generated, once.
        await (await libraries.find((one) => one.package === name)!.open(requireFrom(folder), url, folder)).close();
        const workers = [await start(name, url, folder)];
        while (workers.length < PROCESSES) workers.push(await start(name, url, folder));

        const publisher = await PlainTransport.connect({ url });
        const ids = Array.from({ length: MESSAGES }, (_, n) => n);
        const deliveries = [...ids, ...ids, ...ids].sort(() => Math.random() - 0.5);
        const publishing = publisher.publish(
          ...deliveries.map((n) => {
            const message = publisher.message({ id: `n-${n}`, route: 'n', body: Buffer.from(`${n}`) });
            return { to: { kind: 'route', route: 'n' } as const, message, dedupeId: message.id, mandatory: true };
          }),
        );
        const left = async (): Promise<number> => {
          const { rows } = await pool.query<{ count: string }>(`select (select count(*) from messaging.messages) + (select count(*) from messaging.waiting) + (select count(*) from messaging.outbox) as count`); // prettier-ignore
          return Number(rows[0].count);
        };
        for (let kills = 0; kills < KILLS && (kills === 0 || (await left()) > 0); kills++) {
          await pause(50 + Math.random() * 300);
          const at = kills % PROCESSES;
          workers[at].kill('SIGKILL');
          workers[at] = await start(name, url, folder);
        }
        expect(new Set(await publishing)).toEqual(new Set(['confirmed']));
        await waitFor(async () => (await left()) === 0, 'everything handled', 50_000 + MESSAGES * 20);
        const numbers = async (table: string): Promise<number[]> =>
          (await pool.query<{ n: number }>(`select n from ${table} order by n`)).rows.map(({ n }) => n);
        expect(await numbers('effects')).toEqual(ids);
        expect(await numbers(`(select convert_from(payload, 'UTF8')::int as n from messaging.outbox_sent) sent`)).toEqual(ids); // prettier-ignore
        for (const worker of workers) worker.kill('SIGKILL');
        await closeTransports();
        await pool.end();
      },
      600_000,
    );
  }
});
