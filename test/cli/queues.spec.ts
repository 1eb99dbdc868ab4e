import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { waitFor } from '../brokers/wait-for.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { BrokerClient, DLQ, ids, QUEUE } from '../dead-letters/support/broker-client.js';
import { describeBoth, type FreshBroker } from '../dead-letters/support/describe-both.js';
import { Cli, type CliResult } from '../requeue/support/process.js';

/** None of the environment of this run says where a broker is. */
const NOWHERE = { BROKER_URL: '', AMQP_URL: '', NATS_URL: '' };
const SCOPE = ['--service', 'shop'];

const cli = (env: Record<string, string>, ...args: string[]): Promise<CliResult> =>
  new Cli(args, { ...NOWHERE, ...env }).ended;

describeBoth('the command line beside an application', (fresh, system) => {
  let broker: FreshBroker;
  let client: BrokerClient;
  let url: string;
  const run = (...args: string[]): Promise<CliResult> => cli({ BROKER_URL: url }, ...args);

  beforeAll(async () => {
    broker = await fresh();
    url = broker.env.AMQP_URL || broker.env.NATS_URL;
    client = await BrokerClient.connect(broker.factory);
    await client.fill(ids(3));
    await client.untilDepth(3);
    await client.send(ids(2, 'ready'));
    await client.untilDepth(2, QUEUE);
  }, 60_000);
  afterAll(() => client.close());

  test('queues shows what the service has, by --broker as by BROKER_URL', async () => {
    const { code, stdout, stderr } = await run('queues', ...SCOPE);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [head, row, sum] = stdout.split('\n');
    expect(head).toMatch(/^READY +IN FLIGHT +CONSUMERS +DEAD LETTERS +QUEUE +DEAD-LETTER QUEUE$/);
    const inFlight = system === 'nats' ? '0' : '-';
    expect(row.split(/ +/)).toEqual(['2', inFlight, '0', '3', QUEUE, DLQ]);
    expect(sum).toMatch(/^1 queues on .*127\.0\.0\.1.*: 2 ready, 3 dead letters$/);
    expect(await cli({}, 'queues', ...SCOPE, '--broker', url)).toEqual({ code, signal: null, stdout, stderr });
  });

  test('queues --json and --names are for programs', async () => {
    const { stdout } = await run('queues', '--queue', QUEUE, '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      broker: expect.stringContaining(system),
      queues: [
        {
          name: QUEUE,
          ready: 2,
          inFlight: system === 'nats' ? 0 : null,
          consumers: 0,
          routes: ['order.paid'],
          deadLetterQueue: DLQ,
          deadLetters: 3,
        },
      ],
      missing: [],
    });
    expect((await run('queues', ...SCOPE, '--names')).stdout).toBe(`${DLQ}\n${QUEUE}\n`);
  });

  test('what is not there is told together with what may have been meant', async () => {
    const gone = await run('queues', '--queue', 'shop:piad:queue');
    expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining(`There is no queue «shop:piad:queue» on`) });
    expect(gone.stderr).toContain(`Did you mean «${QUEUE}»`);
    expect(gone.stderr.split('\n')).toHaveLength(2);
    const dead = await run('dead-letters', 'list', '--queue', 'shop:padi:dlq');
    expect(dead).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(`Did you mean «${DLQ}»`) });
    const long = await run('queues', '--queue', 'x'.repeat(300));
    expect(long).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('There is no queue «xxx') });
    const nobody = await run('queues', '--service', 'nobody');
    expect(nobody).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('Nothing is known of a service «nobody» on'),
    });
    expect(nobody.stderr.split('\n')).toHaveLength(2);
  });

  test('without a service it is listed what the broker lists by itself', async () => {
    const all = await run('queues', '--names');
    if (system === 'nats') expect(all).toMatchObject({ code: 0, stdout: `${DLQ}\n${QUEUE}\n` });
    else expect(all).toMatchObject({ code: 2, stderr: expect.stringContaining('--service or --queue is required') });
  });

  test('dead-letters alone lists its commands, and the dead-letter queues with their counts', async () => {
    const { code, stdout, stderr } = await run('dead-letters', ...SCOPE);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('  dead-letters redrive  ');
    expect(stdout.trimEnd().split('\n').at(-1)!.split(/ +/)).toEqual(['3', DLQ, QUEUE]);
    const { stdout: json } = await run('dead-letters', ...SCOPE, '--json');
    expect(JSON.parse(json)).toEqual([{ name: DLQ, count: 3, queues: [QUEUE] }]);
    if (system === 'nats') return;
    expect(await run('dead-letters')).toMatchObject({ code: 0, stdout: expect.stringContaining('--service <name>') });
  });

  test.each(['redrive', 'delete'])('%s refuses a queue that holds messages for a handler', async (name) => {
    const args = ['dead-letters', name, '--queue', QUEUE, ...(name === 'delete' ? ['--all', '--yes'] : [])];
    expect(await run(...args)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `«${QUEUE}» is no dead-letter queue: that of its messages is «${DLQ}»\n`,
    });
    await client.untilDepth(2, QUEUE);
  });

  test('a reader that goes away is no error', async () => {
    const bin = resolve(__dirname, '../../dist/cli.js');
    const line = `"$0" "${bin}" dead-letters list --queue ${DLQ} --json | head -1; exit $\{PIPESTATUS[0]}`;
    const shell = spawn('bash', ['-c', line, process.execPath], {
      env: { ...process.env, ...NOWHERE, BROKER_URL: url },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const output of [shell.stdout, shell.stderr]) output.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const code = await new Promise((done) => shell.on('close', done));
    expect({ code, text }).toEqual({ code: 0, text: '[\n' });
    await client.untilDepth(3);
  }, 60_000);

  test('queues tells of consumers, of what they hold, and of what waits for its time', async () => {
    const handled: string[] = [];
    const other = await BrokerClient.connect(broker.factory);
    try {
      await other.send(['later'], 3_600_000);
      await other.hold((id) => handled.push(id));
      await waitFor(() => handled.length === 2, 'both are held');
      const told = async (): Promise<any> => JSON.parse((await run('queues', ...SCOPE, '--json')).stdout);
      await waitFor(
        async () => (await told()).queues[0].consumers === (system === 'nats' ? 'some' : 1),
        'the consumer',
        45_000,
      );
      const { queues, waiting } = await told();
      expect(queues[0]).toMatchObject({ ready: 0, inFlight: system === 'nats' ? 2 : null });
      expect(waiting.reduce((sum: number, { ready }: { ready: number }) => sum + ready, 0)).toBe(1);
      expect((await run('queues', ...SCOPE)).stdout).toMatch(
        /^Waiting for a retry or a delay, of all applications: 1 \(1 in /m,
      );
    } finally {
      await other.close();
    }
  }, 120_000);
});

describeRabbit('a password that the broker refuses', (rabbit) => {
  test.each(['queues --service shop', 'dead-letters list --queue q'])('is told in one line: %s', async (command) => {
    const url = new URL(await rabbit.freshVhostUrl());
    url.password = 'secret';
    const { code, stdout, stderr } = await cli({ BROKER_URL: url.href }, ...command.split(' '));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^RabbitMQ at 127\.0\.0\.1\S* refuses the credentials\. Check user and password\n$/);
  });
});

describe.each(['amqp', 'nats'])('a broker at %s:// that', (scheme) => {
  let silent: Server | undefined;
  afterEach(() => new Promise<unknown>((done) => (silent ? silent.close(done) : done(undefined))));

  /** Takes connections and says nothing. */
  async function hung(): Promise<string> {
    silent = createServer((socket) => void socket.on('error', () => undefined).resume()).unref();
    await new Promise<void>((done) => silent!.listen(0, '127.0.0.1', done));
    return `${scheme}://ada:secret@127.0.0.1:${(silent.address() as { port: number }).port}`;
  }

  test.each(['is down', 'does not answer'])('%s is one line, with exit code 1', async (how) => {
    const url = how === 'is down' ? `${scheme}://ada:secret@127.0.0.1:1` : await hung();
    for (const command of ['queues --service shop', 'dead-letters list --queue q']) {
      const { code, stdout, stderr } = await cli({ BROKER_URL: url }, ...command.split(' '), '--timeout', '500ms');
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^No connection to \w+ at 127\.0\.0\.1:\d+\S* within 500 ms: .+\n$/);
      expect(stderr).not.toContain('secret');
    }
  });

  test('is given with a password: the title of the process does not have it', async () => {
    const url = await hung();
    const running = new Cli(['queues', '--service', 'shop', '--timeout', '1h', `--broker=${url}`], NOWHERE);
    const title = (): string => readFileSync(`/proc/${running.pid}/cmdline`, 'utf8');
    await waitFor(() => title().startsWith('nestjs-messaging'), 'the title');
    expect(title()).toContain('queues --service shop --timeout 1h');
    expect(title()).not.toContain('secret');
    expect((await running.kill()).stdout).toBe('');
  });
});
