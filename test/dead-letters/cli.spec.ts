import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from 'nestjs-messaging/testing';
import { COMMANDS } from '../../lib/cli/command-list.js';
import { helpOf } from '../../lib/cli/help.js';
import { ProgressBar } from '../../lib/cli/progress-bar.js';
import { table } from '../../lib/cli/dead-letters-text.js';
import { waitFor } from '../brokers/wait-for.js';
import { Cli } from '../requeue/support/process.js';
import { bodyOf, BrokerClient, DLQ, ids, QUEUE } from './support/broker-client.js';
import { describeBoth, type FreshBroker } from './support/describe-both.js';
import { Places } from './support/places.js';
import { type Run, run, Written } from './support/run.js';

const SECRET = { AMQP_URL: 'amqp://ada:secret@127.0.0.1:1' };

describe('the dead-letters commands', () => {
  test.each(['list', 'show', 'redrive', 'delete'])(
    '%s: its help tells every flag, the environment and the exit codes',
    async (name) => {
      const { code, stdout } = await run({}, name, '--help');
      const command = COMMANDS.find((one) => one.name === `dead-letters ${name}`)!;
      expect(code).toBe(0);
      expect(stdout).toBe(`${helpOf(command)}\n`);
      for (const flag of command.flags) expect(stdout).toContain(`--${flag.name}`);
      for (const text of ['BROKER_URL', 'AMQP_URL', 'NATS_URL', 'Exit codes: 0', 'has counted one delivery more'])
        expect(stdout).toContain(text);
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(132);
    },
  );

  test.each<[string[], Record<string, string>, string]>([
    [['list'], SECRET, '--queue is required'],
    [['list', '--queue', DLQ], {}, '--broker is required, or BROKER_URL'],
    [['list', '--queue', DLQ], { ...SECRET, NATS_URL: 'nats://a' }, 'unset one of them'],
    [['list', '--queue', DLQ, '--stream', 'x'], SECRET, '--stream does not fit AMQP_URL'],
    [['list', '--queue', ''], SECRET, '--queue takes a name'],
    [['list', '--queue', DLQ, '--timeout', '0s'], SECRET, '--timeout takes a span of time from 1ms to 1h'],
    [['list', '--queue', DLQ, '--exchange', 'x'], { NATS_URL: 'nats://a' }, '--exchange does not fit NATS_URL'],
    [['list', '--queue', DLQ, '--url', 'amqp://ada:secret@h'], SECRET, "Unknown option '--url'"],
    [['list', '--queue', DLQ], { AMQP_URL: 'http://ada:secret@h' }, 'AMQP_URL is'],
    [['list', '--queue', DLQ, '--older-than', 'soon'], SECRET, '--older-than takes an age'],
    [['list', '--queue', DLQ, '--header', 'tenant'], SECRET, '--header takes name=value'],
    [['list', '--queue', DLQ, '--limit', '1.5'], SECRET, '--limit is «1.5»'],
    [['show', '--queue', DLQ], SECRET, '--id is required'],
    [['show', '--queue', DLQ, '--id', 'a', '--json', '--body'], SECRET, 'do not go together'],
    [['redrive', '--queue', DLQ, '--canary-window', '1s'], SECRET, 'need --canary'],
    [['redrive', '--queue', DLQ, '--canary', '--canary-stages', 'one'], SECRET, 'takes numbers separated by commas'],
    [['redrive', '--queue', DLQ, '--rate', 'fast'], SECRET, '--rate takes a number'],
    [['delete', '--queue', DLQ, '--yes'], SECRET, 'A filter is required, or --all'],
    [['delete', '--queue', DLQ, '--all', '--reason', 'x', '--yes'], SECRET, '--all and a filter do not go together'],
    [['delete', '--queue', DLQ, '--all'], SECRET, '--yes is required'],
  ])('%j is refused with what to do, without a secret, before anything is connected', async (args, env, text) => {
    const { code, stdout, stderr } = await run(env, ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(text);
    expect(stderr).not.toContain('secret');
  });

  test('a table is aligned, cut to its width, and steers no terminal', () => {
    const rows = [
      ['a', 'long one', 'x'.repeat(30)],
      ['bcd', '\u001b[2J', 'x'],
    ];
    expect(table(['ONE', 'TWO', 'THREE'], rows, 30)).toBe(
      ['ONE  TWO        THREE', `a    long one   ${'x'.repeat(13)}…`, 'bcd  \\u001b[2J  x'].join('\n'),
    );
  });

  test('a progress bar is drawn on a terminal only, ten times a second at most, and taken away at the end', async () => {
    const progress = { examined: 50, total: 100, done: 40, failed: 2, waiting: false };
    const clock = new ManualClock();
    const [terminal, file] = [new Written(true), new Written()];
    for (const output of [terminal, file]) {
      const bar = new ProgressBar(output as unknown as NodeJS.WriteStream, clock);
      await clock.advance(1_000);
      bar.draw(progress);
      bar.draw({ ...progress, examined: 51 });
      bar.draw({ ...progress, waiting: true });
      bar.end();
    }
    expect(file.text).toBe('');
    expect(terminal.text.split('\r\u001b[2K')).toEqual([
      '',
      '[############............] 50/100: 40 redriven, 2 failed, 40/s',
      '[############............] 50/100: 40 redriven, 2 failed, waiting for the canaries',
      '',
    ]);
  });
});

describe('on a terminal', () => {
  const places = new Places();
  afterAll(() => places.close());

  test.each([
    'list',
    'list --json',
    'show --id id',
    'show --id id --json',
    'redrive --dry-run',
    'list --reason \u202e',
  ])('what a dead letter says does not steer it: %s', async (command) => {
    const steering = 'refused \u202e\u001b[2J\u2066\ufeff';
    const file = await places.archive(['id'], () => ({
      tenant: steering,
      [steering]: steering,
      'messaging-error-message': steering,
      'messaging-error-stack': steering,
      'messaging-origin-route': steering,
    }));
    const { code, stdout, stderr } = await run({}, ...command.split(' '), '--archive', file);
    expect(code).toBe(0);
    expect(stdout + stderr).not.toMatch(/[^\P{C}\n]/u);
    if (command.endsWith('--json')) expect(JSON.stringify(JSON.parse(stdout))).toContain('\u202e');
  });
});

describeBoth('the dead-letters commands', (fresh, system) => {
  let broker: FreshBroker;
  let client: BrokerClient;
  const cli = (...args: string[]): Promise<Run> => run(broker.env, ...args);

  beforeAll(async () => {
    broker = await fresh();
    client = await BrokerClient.connect(broker.factory);
  }, 60_000);
  beforeEach(async () => {
    await run(broker.env, 'delete', '--queue', DLQ, '--all', '--yes');
    await client.untilDepth(0);
  });
  afterAll(() => client.close());

  test('list shows a table, a page of it, and JSON that has all of it', async () => {
    await client.fill(ids(3));
    await client.fill(['odd'], () => ({ tenant: 'eve', 'messaging-error-message': 'two\nlines' }));
    await client.untilDepth(4);
    const { code, stdout, stderr } = await cli('list', '--queue', DLQ);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.trim().split('\n');
    expect(lines[0]).toMatch(/^TIME +ID +ROUTE +REASON +ATTEMPTS +ERROR$/);
    expect(lines[1]).toMatch(/^\d{4}-.*Z +m0 +order\.paid +attempts-exhausted +8 +PaymentError: declined$/);
    expect(lines[4]).toContain('two\\u000alines');
    expect(lines[5]).toBe('4 listed of 4 in the queue');

    await client.untilDepth(4);
    const page = await cli('list', '--queue', DLQ, '--limit', '2', '--offset', '1');
    expect(page.stdout).toContain('2 listed of 4 in the queue; the next ones with --offset 3');
    const filtered = await cli('list', '--queue', DLQ, '--header', 'tenant=eve', '--newer-than', '1h', '--json');
    expect(JSON.parse(filtered.stdout)).toMatchObject([
      { id: 'odd', route: 'order.paid', encoding: 'utf8', body: bodyOf('odd').toString(), origin: { queue: QUEUE } },
    ]);
    await client.untilDepth(4);
    expect((await cli('list', '--queue', DLQ, '--older-than', '1h')).stdout).toBe('0 listed of 4 in the queue\n');
  });

  test('show tells all of one, or its bytes', async () => {
    await client.fill(ids(3));
    const shown = await cli('show', '--queue', DLQ, '--id', 'm1');
    expect(shown.code).toBe(0);
    for (const text of ['m1', DLQ, 'PaymentError', 'declined', '  tenant: ada', `body (${bodyOf('m1').length} bytes)`])
      expect(shown.stdout).toContain(text);
    expect((await cli('show', '--queue', DLQ, '--id', 'm2', '--body')).stdout).toBe(bodyOf('m2').toString());
    expect(await cli('show', '--queue', DLQ, '--id', 'gone')).toMatchObject({ code: 1, stdout: '' });
  });

  test('redrive sends what is selected, tells what it did, and stops where it is told to', async () => {
    await client.fill(ids(30));
    await client.fill(ids(30, 'n'), () => ({ tenant: 'eve' }));
    const eve = ['redrive', '--queue', DLQ, '--header', 'tenant=eve'];
    expect(await cli(...eve, '--dry-run')).toMatchObject({ code: 0, stdout: '30 of 60 would be redriven\n' });
    const limited = await cli(...eve, '--limit', '4');
    expect(limited).toMatchObject({
      code: 4,
      stdout: expect.stringMatching(/^4 redriven.*\nStopped at the limit\. .*--older-than \d{4}-/s),
    });
    const rest = await cli(...eve, '--json');
    expect(rest.code).toBe(0);
    expect(JSON.parse(rest.stdout)).toMatchObject({ done: 26, failed: [], examined: 56, matched: 26, arrived: 0 });
    await client.untilDepth(30);
    await client.untilDepth(30, QUEUE);
  });

  test('redrive stops at canaries that come back, and what was not sent stays', async () => {
    await client.fill(ids(20));
    await client.consume(({ id }) => id !== 'm1');
    const before = client.received.length;
    const args = ['redrive', '--queue', DLQ, '--canary', '--canary-stages', '1,3', '--canary-window', '500ms'];
    const stopped = await cli(...args);
    expect(stopped).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('Canaries: 3 did not come back within the window, 1 came back'),
    });
    await client.untilDepth(17);
    expect(client.receivedIds.slice(before).filter((id) => id.startsWith('m'))).toEqual(
      expect.arrayContaining(['m0', 'm1', 'm2', 'm3']),
    );
    const rest = await cli('redrive', '--queue', DLQ);
    expect(rest.code).toBe(0);
    await waitFor(() => new Set(client.receivedIds).size >= 20, 'all of them');
  });

  test('delete takes what is selected and nothing else', async () => {
    await client.fill(ids(10));
    expect(await cli('delete', '--queue', DLQ, '--id', 'm3', '--id', 'm4', '--yes')).toMatchObject({
      code: 0,
      stdout: '2 dead letters are deleted\n',
    });
    expect(JSON.parse((await cli('list', '--queue', DLQ, '--json')).stdout)).toHaveLength(8);
  });

  test('a queue that is not there, and a broker that is not, are told as such', async () => {
    expect(await cli('list', '--queue', 'shop:no:dlq')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('There is no queue «shop:no:dlq»'),
    });
    const name = system === 'rabbitmq' ? 'AMQP_URL' : 'NATS_URL';
    const url = { [name]: `${system === 'rabbitmq' ? 'amqp' : 'nats'}://ada:secret@127.0.0.1:1` };
    const { code, stderr } = await run(url, 'list', '--queue', DLQ, '--timeout', '500ms');
    expect(code).toBe(1);
    expect(stderr).toContain('127.0.0.1:1');
    expect(stderr).not.toContain('secret');
  }, 60_000);

  test('a process that is told to stop ends after its batch with exit code 4', async () => {
    await client.fill(ids(200, 'z'));
    const running = new Cli(['dead-letters', 'redrive', '--queue', DLQ, '--rate', '20'], broker.env);
    const before = client.received.length;
    await waitFor(() => client.received.length > before, 'the first copies', 30_000);
    running.signal('SIGTERM');
    const { code, stdout } = await running.ended;
    expect({ code, stdout }).toEqual({ code: 4, stdout: expect.stringContaining('Stopped by a signal') });
    const done = Number(/^(\d+) redriven/.exec(stdout)![1]);
    await client.untilDepth(200 - done);
  }, 60_000);
});
