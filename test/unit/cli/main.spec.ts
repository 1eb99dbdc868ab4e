import { Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { COMMANDS } from '../../../lib/cli/command-list.js';
import { helpOf } from '../../../lib/cli/help.js';
import { main } from '../../../lib/cli/main.js';

interface Told {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(env: Record<string, string>, ...args: string[]): Promise<Told> {
  const texts = { stdout: '', stderr: '' };
  const output = (name: keyof typeof texts) =>
    new Writable({
      write(chunk: Buffer, _, done) {
        texts[name] += chunk.toString();
        done();
      },
    });
  const code = await main(args, { stdout: output('stdout'), stderr: output('stderr'), env, version: '1.2.3' });
  return { code, ...texts };
}

describe('a mistake is one line that says what was meant, with exit code 2:', () => {
  test.each<[string[], string]>([
    [['dead-leters', 'list'], 'There is no command «dead-leters». Did you mean «dead-letters»'],
    [['dead-letters', 'lst'], 'There is no command «dead-letters lst». Did you mean «dead-letters list»'],
    [['requeue', 'inspekt'], 'There is no command «requeue inspekt». Did you mean «requeue inspect»'],
    [['help', 'dead-letters', 'shwo'], 'Did you mean «dead-letters show»'],
    [['requeu'], 'There is no command «requeu». Did you mean «requeue»'],
    [['completion'], 'There are: completion bash, completion zsh, completion fish'],
    [['dead-letters', 'list', '--limt', '5'], "Unknown option '--limt'. Did you mean «--limit»"],
    [['requeue', '--data-dri', 'x'], "Unknown option '--data-dri'. Did you mean «--data-dir»"],
    [['--verson'], 'There is no option «--verson». Did you mean «--version»'],
    [['nonsense'], 'There is no command «nonsense». See nestjs-messaging --help'],
    [['queues', '--queue', '--json'], '--queue needs a value: --queue <name>, or --queue=<name> for one'],
    [['queues', '--service'], '--service needs a value'],
    [['queues', '--json=yes'], '--json takes no value'],
    [['queues', 'orders'], "'orders' is no option"],
    [['queues', '--names', '--json'], '--names and --json do not go together'],
  ])('%j', async (args, said) => {
    const { code, stdout, stderr } = await run({}, ...args);
    expect({ code, stdout, lines: stderr.split('\n').length }).toEqual({ code: 2, stdout: '', lines: 2 });
    expect(stderr).toContain(said);
  });
});

describe('the address of the broker is refused in one line, without what may be a password:', () => {
  const URL = 'amqp://ada:secret@h';
  test.each<[string[], Record<string, string>, string]>([
    [
      [],
      {},
      '--broker is required, or BROKER_URL: the address of the broker, amqp://user:password@host/vhost, nats://',
    ],
    [['--broker', 'h:5672'], {}, '--broker has no scheme; allowed: amqp://, amqps://, nats://, tls://'],
    [['--broker', ''], { BROKER_URL: URL }, '--broker has no scheme'],
    [['--broker', 'ampq://ada:secret@h'], {}, '--broker has the scheme «ampq». Did you mean «amqp»'],
    [[], { BROKER_URL: 'mqtt://ada:secret@h' }, 'BROKER_URL has the scheme «mqtt»; allowed'],
    [[], { BROKER_URL: 'amqp://ada:secret@h:port' }, 'BROKER_URL is not usable; allowed: amqp://'],
    [[], { BROKER_URL: 'nats://ada:sec,ret' }, 'BROKER_URL is not usable; allowed: nats://'],
    [[], { BROKER_URL: 'amqp://undefined:secret@h' }, 'Is an environment variable not set?'],
    [[], { NATS_URL: 'amqp://ada:secret@h' }, 'NATS_URL is not usable; allowed: nats://'],
    [[], { AMQP_URL: URL, NATS_URL: 'nats://h' }, 'AMQP_URL and NATS_URL are both set: unset one'],
    [['--stream', 's'], { BROKER_URL: URL }, '--stream does not fit BROKER_URL, which is the address of RabbitMQ'],
    [['--broker', 'nats://h', '--exchange', 'e'], { BROKER_URL: URL }, '--exchange does not fit --broker'],
    [['--stream', 'a b'], { BROKER_URL: 'nats://h' }, '--stream is "a b"; allowed: up to 100 letters'],
    [['--exchange', 'amq.x'], { BROKER_URL: URL }, '--exchange is "amq.x"; allowed'],
    [[URL], {}, "'amqp://***@h' is no option"],
    [['--brokr', URL], {}, "Unknown option '--brokr'. Did you mean «--broker»"],
  ])('%j with %j', async (args, env, said) => {
    for (const command of ['queues', 'dead-letters list --queue q']) {
      const { code, stdout, stderr } = await run(env, ...command.split(' '), ...args);
      expect({ code, stdout, lines: stderr.split('\n').length }).toEqual({ code: 2, stdout: '', lines: 2 });
      expect(stderr).toContain(said);
      expect(stderr).not.toMatch(/sec,?ret/);
    }
  });
});

test.each(['--version', '-v'])('%s says the version', async (flag) => {
  expect(await run({}, flag)).toEqual({ code: 0, stdout: '1.2.3\n', stderr: '' });
});

test.each([
  ['queues', '-h'],
  ['queues', '--service', 'x', '--help'],
  ['help', 'queues'],
])('%s %s: the help of a command', async (...args) => {
  const queues = COMMANDS.find(({ name }) => name === 'queues')!;
  expect(await run({}, ...args)).toEqual({ code: 0, stdout: `${helpOf(queues)}\n`, stderr: '' });
});

test('the help of a word that is no command itself has the commands that begin with it', async () => {
  const { code, stdout } = await run({}, 'completion', '--help');
  expect(code).toBe(0);
  expect(stdout).toContain('Usage: nestjs-messaging completion <command>');
  expect(stdout).toContain('completion zsh');
  expect(stdout).not.toContain('requeue');
});

test('the help has every command, and no line that is wider than a terminal of 132 columns', async () => {
  const { stdout } = await run({}, '--help');
  for (const command of COMMANDS) expect(stdout).toContain(`  ${command.name} `);
  for (const line of [stdout, ...COMMANDS.map(helpOf)].join('\n').split('\n'))
    expect(line.length).toBeLessThanOrEqual(132);
});

test('dead-letters alone, without a broker, lists its commands', async () => {
  const { code, stdout, stderr } = await run({}, 'dead-letters');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const name of ['list', 'show', 'redrive', 'delete']) expect(stdout).toContain(`dead-letters ${name}`);
  expect(stdout).toContain('listed with --broker <url> --service <name>');
});
