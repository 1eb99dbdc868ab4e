import { afterEach, expect, it } from '@jest/globals';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Program, type Running } from '../e2e/support/program.js';
import { type Client, toRoute } from './client.js';
import { beforeEachPeers } from './peers.js';

const PROGRAM = `
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule, partitioned } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
const { JOURNAL, AMQP_URL } = process.env;
const write = (...words) => appendFileSync(JOURNAL, words.join(' ') + '\\n');
const transport = rabbitmq({ url: AMQP_URL, exchange: 'events' });
const retry = { attempts: 50, backoff: 10 };
const app = await NestFactory.createApplicationContext(MessagingModule.forRoot({ service: 'orders', transport, retry }), { logger: ['error', 'warn'] });
const concurrency = partitioned({ lanes: 5 });
await app.get(Messaging).subscribe({ route: 'step', concurrency, prefetch: 20, rabbitmq: { singleActiveConsumer: true } }, async (_, context) => {
  write('start', context.key, context.id, process.pid);
  await pause(Math.random() * 20);
  if (Math.random() < 0.1) {
    write('fail', context.key, context.id, process.pid);
    throw new Error('at random');
  }
  write('end', context.key, context.id, process.pid);
});
process.on('SIGTERM', () => app.close());
write('up', '-', '-', process.pid);
`;

const KEYS = 12;
const PER_KEY = 100;
/** What is handled between two ends of a process. */
const BETWEEN = 100;

describeRabbit('order over several processes, with one active consumer', (rabbit) => {
  let url: string;
  let client: Client;
  let program: Program | undefined;

  beforeEachPeers(rabbit, (peers) => ({ url, client } = peers));
  afterEach(() => program?.close());

  it('no two messages of a key run at once, and each key keeps its order, while processes are ended and killed', async () => {
    const own = (program = new Program(PROGRAM));
    const start = (): Running => own.start({ AMQP_URL: url });
    const up = (): number => own.lines().filter(([what]) => what === 'up').length;
    let running = [start(), start(), start(), start()];
    await waitFor(() => up() === 4, 'four processes', 60_000);
    const publishing = publishAll(client);
    const done = (): number =>
      new Set(own.lines().flatMap(([what, key, id]) => (what === 'end' ? [`${key} ${id}`] : []))).size;

    // The active one is ended or killed again and again, in the middle of its work.
    const ends: string[] = [];
    const ending: Promise<void>[] = [];
    while (done() < KEYS * PER_KEY && ends.length < 8) {
      const before = done();
      await waitFor(() => done() >= Math.min(before + BETWEEN, KEYS * PER_KEY), 'some progress', 60_000);
      const [last] = own
        .lines()
        .flatMap(([what, , , pid]) => (what === 'start' ? [pid] : []))
        .slice(-1);
      const active = running.find((one) => one.pid === Number(last)) ?? running[0];
      const signal = ends.length % 2 === 0 ? 'SIGTERM' : 'SIGKILL';
      ends.push(signal);
      ending.push(active.end(signal));
      running = [...running.filter((one) => one !== active), start()];
    }
    await waitFor(() => done() === KEYS * PER_KEY, 'all messages', 120_000);
    await Promise.all([publishing, ...ending]);
    expect(ends.slice(0, 4)).toEqual(['SIGTERM', 'SIGKILL', 'SIGTERM', 'SIGKILL']);
    expect(breaches(own.lines())).toEqual([]);
    expect(await client.transport.queues.depth('orders:step:dlq')).toBe(0);
  }, 300_000);
});

async function publishAll(client: Client): Promise<void> {
  for (let number = 1; number <= PER_KEY; number++)
    for (let key = 0; key < KEYS; key++)
      await client.insist(toRoute('step', String(number), { headers: { 'messaging-key': `k${key}` } }));
}

/** What a journal shows that must not be. */
function breaches(lines: readonly string[][]): string[] {
  const found: string[] = [];
  const running = new Map<string, { id: string; pid: string }>();
  const finished = new Map<string, number>();
  for (const [what, key, id, pid] of lines) {
    if (what === 'up') continue;
    if (what === 'start') {
      const other = running.get(key);
      // Who was killed says no end; its successor does not begin before it is dead.
      if (other && other.pid === pid) found.push(`${key}: ${id} beside ${other.id} in one process`);
      const expected = (finished.get(key) ?? 0) + 1;
      if (Number(id) > expected) found.push(`${key}: ${id} begins, ${expected} has not ended`);
      running.set(key, { id, pid });
    } else {
      const current = running.get(key);
      if (!current || current.pid !== pid || current.id !== id)
        found.push(`${key}: ${id} ends in ${pid}, while ${current?.id} runs in ${current?.pid}`);
      running.delete(key);
      if (what === 'end') finished.set(key, Math.max(finished.get(key) ?? 0, Number(id)));
    }
  }
  return found;
}
