import { appendFileSync } from 'node:fs';
import { afterEach, expect, it } from '@jest/globals';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Program, type Running } from '../e2e/support/program.js';
import { Random } from '../fault/random.js';
import { type Client, toRoute } from './client.js';
import { beforeEachPeers } from './peers.js';

const PARTITIONS = 6;
const KEYS = 12;
const SEED = 20_260_911;
/** What is handled between two events. */
const BETWEEN = 60;

const PROGRAM = `
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule, partitioned } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
const { JOURNAL, AMQP_URL } = process.env;
let seed = Number(process.env.SEED);
const random = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
const write = (...words) => appendFileSync(JOURNAL, words.join(' ') + '\\n');
const transport = rabbitmq({ url: AMQP_URL, exchange: 'events' });
const retry = { attempts: 50, backoff: 10 };
const app = await NestFactory.createApplicationContext(MessagingModule.forRoot({ service: 'orders', transport, retry }), { logger: ['error', 'warn'] });
const messaging = app.get(Messaging);
const options = { concurrency: partitioned({ lanes: 4 }), prefetch: 6, rabbitmq: { partitions: ${PARTITIONS} } };
await messaging.subscribe({ route: 'step', ...options }, async (_, context) => {
  write('start', context.key, context.id, process.pid);
  await pause(random() * 20);
  if (random() < 0.1) {
    write('fail', context.key, context.id, process.pid);
    throw new Error('at random');
  }
  write('end', context.key, context.id, process.pid);
});
process.on('SIGTERM', () => app.close());
let had = '';
setInterval(() => {
  const has = messaging.health().consumers.filter(({ state }) => state === 'consuming').map(({ queue }) => /\\.(\\d+)$/.exec(queue)?.[1]);
  const text = has.filter((partition) => partition !== undefined).join(',') || 'none';
  if (text !== had) write('has', text, '-', process.pid);
  had = text;
}, 20).unref();
write('up', '-', '-', process.pid);
`;

describeRabbit('order per key over several processes that share partitions', (rabbit) => {
  let url: string;
  let client: Client;
  let program: Program | undefined;

  beforeEachPeers(rabbit, (peers) => ({ url, client } = peers));
  afterEach(() => program?.close());

  it('no two messages of a key run at once, each key keeps its order, and all processes work, while they come and go', async () => {
    const random = new Random(SEED);
    const own = (program = new Program(PROGRAM));
    const note = (...words: string[]): void => appendFileSync(own.journal, `${words.join(' ')}\n`);
    let running: Running[] = [];
    const start = async (): Promise<void> => {
      const one = own.start({ AMQP_URL: url, SEED: String(random.between(1, 2 ** 30)) });
      running = [...running, one];
      await waitFor(
        () => own.lines().some(([what, , , pid]) => what === 'up' && Number(pid) === one.pid),
        'a process that is up',
        60_000,
      );
    };
    await Promise.all([start(), start(), start()]);
    let published = 0;
    let goesOn = true;
    const publishing = (async () => {
      for (let number = 1; goesOn; number++)
        for (let key = 0; key < KEYS; key++) {
          await client.insist(toRoute('step', String(number), { headers: { 'messaging-key': `k${key}` } }));
          published++;
        }
    })();
    const handled = (): number =>
      new Set(own.lines().flatMap(([what, key, id]) => (what === 'end' ? [`${key} ${id}`] : []))).size;
    const progress = async (): Promise<void> => {
      const before = handled();
      await waitFor(() => handled() >= before + BETWEEN, 'some progress', 60_000);
    };
    const leaving: Promise<void>[] = [];
    const end = async (one: Running, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
      if (signal === 'SIGKILL') note('killed', '-', '-', String(one.pid));
      running = running.filter((other) => other !== one);
      leaving.push(one.end(signal));
      await start();
      await progress();
    };

    // Everybody has a share, also who came late, and whoever comes or goes in peace makes nobody repeat anything.
    await progress();
    await start();
    await waitFor(() => isShared(own.lines(), running), 'partitions in all processes', 30_000);
    await progress();
    await end(running[0], 'SIGTERM');
    expect(repeated(own.lines())).toEqual([]);

    await end(running[random.between(0, running.length - 1)], 'SIGKILL');
    if (rabbit.node) {
      note('cut', '-', '-', '-');
      await rabbit.node.killConnections(decodeURIComponent(new URL(url).pathname.slice(1)));
      await progress();
    }
    await waitFor(() => isShared(own.lines(), running), 'partitions in all processes again', 30_000);

    goesOn = false;
    await publishing;
    await waitFor(() => handled() === published, 'all messages', 60_000);
    await Promise.all(leaving);
    expect(breaches(own.lines())).toEqual([]);
    expect(await client.transport.queues.depth('orders:step:dlq')).toBe(0);
  }, 240_000);
});

/** Each process has as many partitions as any other, give or take one, and none is had by nobody. */
function isShared(lines: readonly string[][], running: readonly Running[]): boolean {
  const has = new Map<number, string[]>();
  for (const [what, partitions, , pid] of lines)
    if (what === 'has') has.set(Number(pid), partitions === 'none' ? [] : partitions.split(','));
  const shares = running.map(({ pid }) => has.get(pid!) ?? []);
  const sizes = shares.map((share) => share.length);
  const fair = Math.floor(PARTITIONS / running.length);
  return new Set(shares.flat()).size === PARTITIONS && sizes.every((size) => size >= fair && size <= fair + 1);
}

/** Messages whose handling ended well twice. */
function repeated(lines: readonly string[][]): string[] {
  const ends = lines.filter(([what]) => what === 'end').map(([, key, id]) => `${key} ${id}`);
  return ends.filter((one, at) => ends.indexOf(one) !== at);
}

/** What a journal shows that must not be. */
function breaches(lines: readonly string[][]): string[] {
  const found: string[] = [];
  const running = new Map<string, { id: string; pid: string; cut: boolean }>();
  const finished = new Map<string, number>();
  /** Handlers that had lost their connection when another began. */
  const late = new Set<string>();
  const killed = new Set<string>();
  for (const [what, key, id, pid] of lines) {
    const current = running.get(key);
    if (what === 'killed') killed.add(pid);
    if (what === 'cut') for (const one of running.values()) one.cut = true;
    if (what === 'start') {
      if (current && !killed.has(current.pid)) {
        if (current.cut) late.add(`${key} ${current.id} ${current.pid}`);
        else found.push(`${key}: ${id} starts in ${pid}, while ${current.id} runs in ${current.pid}`);
      }
      const expected = (finished.get(key) ?? 0) + 1;
      if (Number(id) > expected) found.push(`${key}: ${id} begins, ${expected} has not ended`);
      running.set(key, { id, pid, cut: false });
    }
    if (what !== 'end' && what !== 'fail') continue;
    if (current?.pid === pid && current.id === id) running.delete(key);
    else if (!late.delete(`${key} ${id} ${pid}`)) found.push(`${key}: ${id} ends in ${pid}, where it does not run`);
    if (what === 'end') finished.set(key, Math.max(finished.get(key) ?? 0, Number(id)));
  }
  return found;
}
