import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { waitFor } from '../brokers/wait-for.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { BrokerClient, DLQ, ids } from './support/broker-client.js';
import { Places } from './support/places.js';
import { run } from './support/run.js';
import { hasTerminal, Terminal } from './support/terminal.js';

const places = new Places();
afterEach(() => Terminal.killAll());
afterAll(() => places.close());

if (!hasTerminal) console.error('SKIPPED: nothing was tried on a terminal, for there is no `script` of util-linux');
const onTerminal = hasTerminal ? describe : describe.skip;

/** Whatever moves a cursor, erases or colours. */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

async function left(file: string): Promise<number> {
  return (JSON.parse((await run({}, 'list', '--archive', file, '--json')).stdout) as unknown[]).length;
}

onTerminal('on a terminal, the question before dead letters are deleted', () => {
  const QUESTION = 'Delete 3 dead letters for good? [y/N] ';

  test.each<[string, string, number, number]>([
    ['y', 'y\r', 0, 0],
    ['n', 'n\r', 4, 3],
    ['a word that is corrected', 'nx\u007f\u007fy\r', 0, 0],
    ['Ctrl-C', '\u0003', 4, 3],
    ['Ctrl-D', '\u0004', 4, 3],
  ])(
    'answered with %s',
    async (_, keys, code, kept) => {
      const file = await places.archive(ids(3));
      const terminal = new Terminal(['dead-letters', 'delete', '--archive', file, '--all'], {});
      await terminal.until(QUESTION);
      terminal.type(keys);
      const ended = await terminal.ended;
      expect(ended.code).toBe(code);
      expect(ended.text).toContain(kept === 0 ? '3 dead letters are deleted' : 'Nothing is deleted');
      expect(await left(file)).toBe(kept);
    },
    60_000,
  );

  test('a list is cut to the width of the terminal', async () => {
    const file = await places.archive(ids(3));
    const { code, text } = await new Terminal(['dead-letters', 'list', '--archive', file], { columns: 50 }).ended;
    expect(code).toBe(0);
    const lines = text.trimEnd().split('\r\n');
    expect(lines).toHaveLength(5);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(50);
    expect(lines[1]).toMatch(/m0.*…$/);
  }, 60_000);
});

/** Every state of the bar: what stands between two erasures of the line. */
const states = (text: string): string[] =>
  text
    .split('\r\u001b[2K')
    .slice(1, -1)
    .filter((state) => state !== '');

function expectBar(text: string, columns: number): void {
  const drawn = states(text);
  expect(drawn.length).toBeGreaterThan(0);
  for (const state of drawn) {
    expect(state.startsWith('[')).toBe(true);
    expect(state.length).toBeLessThan(columns);
    expect(state).not.toMatch(CONTROL);
  }
}

onTerminal('on a terminal, the bar of a redrive', () => {
  const dryRun = (file: string): string[] => ['dead-letters', 'redrive', '--archive', file, '--dry-run'];

  test.each([10, 60, 200])(
    'does not wrap in %d columns, and is taken away',
    async (columns) => {
      const file = await places.archive(ids(3));
      const { code, text } = await new Terminal(dryRun(file), { columns }).ended;
      expect(code).toBe(0);
      expectBar(text, columns);
      expect(text.split('\r\u001b[2K').at(-1)).toBe('3 of 3 would be redriven\r\n');
    },
    60_000,
  );

  test.each<[string, Record<string, string>]>([
    ['NO_COLOR', { NO_COLOR: '1' }],
    ['TERM=dumb', { TERM: 'dumb' }],
  ])(
    'is not shown with %s: nothing steers the terminal',
    async (_, env) => {
      const { code, text } = await new Terminal(dryRun(await places.archive(ids(3))), { env }).ended;
      expect({ code, text }).toEqual({ code: 0, text: '3 of 3 would be redriven\r\n' });
    },
    60_000,
  );
});

describeRabbit('on a terminal, a redrive', (rabbit) => {
  const onlyHere = hasTerminal ? test : test.skip;
  let client: BrokerClient | undefined;

  afterEach(() => client?.close());

  onlyHere(
    'shows its bar, ends after its batch at Ctrl-C with exit code 4, and the rest is where it was',
    async () => {
      const url = await rabbit.freshVhostUrl();
      const broker = (client = await BrokerClient.connect(rabbitmq({ url })));
      await broker.fill(ids(200));
      await broker.consume();
      const args = ['dead-letters', 'redrive', '--queue', DLQ, '--rate', '10'];
      const terminal = new Terminal(args, { env: { AMQP_URL: url, NATS_URL: '' }, columns: 40 });
      await waitFor(() => broker.received.length > 0, 'the first copy', 45_000);
      await terminal.until('/200');
      terminal.type('\u0003');
      const { code, text } = await terminal.ended;
      expect(code).toBe(4);
      // The terminal itself shows the key.
      expectBar(text.replaceAll('^C', ''), 40);
      expect(text).toContain('Stopped by a signal');
      const done = Number(/(\d+) redriven, 0 failed, \d+ looked at/.exec(text)![1]);
      expect(done).toBeLessThan(200);
      await broker.untilDepth(200 - done);
    },
    60_000,
  );
});
