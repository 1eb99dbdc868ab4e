import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { main } from '../../lib/cli/main.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { listing } from './support/rabbitmq.js';

const bin = resolve(__dirname, '../../dist/cli.js');
const app = ['--app', resolve(__dirname, 'app/app.module.mjs')];

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** As users call it. */
function cli(url: string, ...args: string[]): Promise<Result> {
  return cliWith({ SHOP_BROKER: url }, ...args);
}

function cliWith(more: object, ...args: string[]): Promise<Result> {
  return new Promise((done) => {
    const env = { ...process.env, ...more };
    execFile(process.execPath, [bin, 'topology', ...args], { env }, (error, out, err) =>
      done({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });
}

/** In this process, before anything is loaded. */
async function run(...args: string[]): Promise<Result> {
  const [out, err]: string[][] = [[], []];
  const into = (list: string[]): any => ({ write: (text: string) => list.push(text) });
  const code = await main(args, { stdout: into(out), stderr: into(err), env: {}, version: '1.0.0' });
  return { code, out: out.join(''), err: err.join('') };
}

test('wrong usage is told, with what may have been meant; of plan its exit code is not that of differences', async () => {
  expect(await run('topology', 'paln')).toMatchObject({ code: 2, err: expect.stringContaining('Did you mean «topology plan»') }); // prettier-ignore
  expect(await run('topology', 'plan')).toMatchObject({ code: 1, err: expect.stringContaining('--app is required') });
  expect(await run('topology', 'apply', '--pln', 'x')).toMatchObject({ code: 2, err: expect.stringContaining('Did you mean «--plan»') }); // prettier-ignore
  expect(await run('topology', 'migrate', ...app)).toMatchObject({ code: 2, err: expect.stringContaining('--queue is required') }); // prettier-ignore
  expect((await run('topology', '--help')).out).toContain('topology migrate');
});

describe('bad input, without any broker', () => {
  const folder = mkdtempSync(join(tmpdir(), 'topology-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name: string, content: unknown): string => {
    const path = join(folder, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };
  const other = (name: string): string[] => ['--app', `${resolve(__dirname, 'app/others.module.mjs')}#${name}`];

  test('a plan that cannot be read, and an application that is not there', async () => {
    for (const plan of [join(folder, 'nowhere.json'), file('broken.json', '{"format":')])
      expect(await run('topology', 'apply', ...app, '--plan', plan)).toMatchObject({ code: 2, out: '', err: expect.stringContaining('--plan cannot be read as JSON') }); // prettier-ignore
    for (const [what, code] of [['plan', 1], ['apply', 2]] as const) // prettier-ignore
      expect(await run('topology', what, '--app', 'nowhere.js')).toMatchObject({ code, out: '', err: expect.stringContaining('build the application first') }); // prettier-ignore
  });

  test('a file that is no application, and one whose provider fails, without its password', async () => {
    const broken = ['--app', file('broken.cjs', 'module.exports = {')];
    expect(await cliWith({}, 'plan', ...broken)).toMatchObject({ code: 1, out: '', err: expect.stringContaining('cannot be loaded') }); // prettier-ignore
    expect(await cliWith({}, 'plan', ...other('Empty'))).toMatchObject({ code: 1, out: '', err: expect.stringContaining('There is no MessagingModule') }); // prettier-ignore
    const failing = await cliWith({}, 'plan', ...other('Failing'));
    expect(failing).toMatchObject({ code: 1, out: '', err: expect.stringContaining('The address of the broker is not set') }); // prettier-ignore
    expect(failing.err).not.toContain('hunter2');
  }, 60_000);

  test('a connection and a queue that are not there, and a place where nothing can be written', async () => {
    const embedded = other('Embedded');
    expect(await cliWith({}, 'apply', ...embedded, '--connection', 'audit')).toMatchObject({ code: 2, err: expect.stringContaining('--connection is "audit"; allowed: one of: default') }); // prettier-ignore
    expect(await cliWith({}, 'migrate', ...embedded, '--queue', 'a')).toMatchObject({ code: 1, err: expect.stringContaining('nothing that messages have to be moved for') }); // prettier-ignore
    const out = ['--out', join(folder, 'nowhere/plan.json')];
    expect(await cliWith({}, 'plan', ...embedded, ...out)).toMatchObject({ code: 1, out: '', err: expect.stringContaining('--out cannot be written') }); // prettier-ignore
    expect(await cliWith({}, 'plan', ...embedded)).toMatchObject({ code: 0, out: expect.stringContaining('Nothing to do') }); // prettier-ignore
  }, 60_000);

  test('a file that is JSON and no plan makes nothing', async () => {
    for (const plan of [null, {}, { format: 'nestjs-messaging/topology-plan/1', connections: [null] }])
      expect(await cliWith({}, 'apply', ...other('Embedded'), '--plan', file('none.json', plan))).toMatchObject({ code: 1, out: '', err: expect.stringContaining('The saved plan is none') }); // prettier-ignore
  }, 60_000);
});

describeRabbit('topology from a shell', (rabbit) => {
  const folder = mkdtempSync(join(tmpdir(), 'topology-'));
  const kept = join(folder, 'plan.json');
  let url: string;
  beforeAll(async () => void (url = await rabbit.freshVhostUrl()), 60_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('plan tells and keeps, apply makes, and the exit codes are those for CI', async () => {
    const planned = await cli(url, 'plan', ...app, '--out', kept);
    expect(planned).toMatchObject({ code: 2, err: '' });
    expect(planned.out).toContain('  + queue shop:order.created:queue {"x-queue-type":"quorum"');
    expect(planned.out + readFileSync(kept, 'utf8')).not.toContain('guest');
    expect(await cli(url, 'apply', ...app, '--plan', kept)).toMatchObject({ code: 0, out: expect.stringMatching(/\d+ done/) }); // prettier-ignore
    const applied = await listing(rabbit, url);
    const again = await cli(url, 'plan', ...app, '--json');
    expect(again).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(again.out).connections[0].entries).toEqual([]);
    expect(await cli(url, 'apply', ...app, '--plan', kept)).toMatchObject({ code: 1, err: expect.stringContaining('nothing was made') }); // prettier-ignore
    const queue = ['--queue', 'shop:order.created:queue'];
    expect(await cli(url, 'migrate', ...app, ...queue)).toMatchObject({ code: 0, out: '«shop:order.created:queue» is as it is wanted\n' }); // prettier-ignore
    expect(await listing(rabbit, url)).toBe(applied);
  }, 120_000);

  test('a broker that is not there is one line without a password', async () => {
    const gone = await cli('amqp://me:hunter2@127.0.0.1:1', 'plan', ...app, '--timeout', '1s');
    expect(gone).toMatchObject({ code: 1, out: '', err: expect.stringContaining('No connection to rabbitmq at 127.0.0.1:1') }); // prettier-ignore
    expect(gone.err).not.toContain('hunter2');
  }, 60_000);

  test('a management plugin that is not there is one line without a password', async () => {
    const free = createServer();
    await new Promise<void>((done) => free.listen(0, '127.0.0.1', done));
    const { port } = free.address() as { port: number };
    await new Promise((done) => free.close(done));
    const env = { SHOP_BROKER: url, SHOP_MANAGEMENT: `http://me:hunter2@127.0.0.1:${port}` };
    const told = await cliWith(env, 'plan', ...app);
    expect(told).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/^The management plugin of RabbitMQ at 127\.0\.0\.1:\d+ does not answer: .*\n$/) }); // prettier-ignore
    expect(told.err).not.toContain('hunter2');
  }, 60_000);
});
