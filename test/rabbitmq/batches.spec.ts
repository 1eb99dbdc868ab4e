import { afterEach, expect, it } from '@jest/globals';
import { readDeadLetter } from '../../lib/dead-letter/dead-letter.js';
import { Proxy } from '../brokers/proxy.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Program, type Running } from '../e2e/support/program.js';
import { type Client, toRoute } from './client.js';
import { beforeEachPeers } from './peers.js';

/** Now and then one message of a batch fails, and now and then the whole call. Each batch is written down at once. */
const PROGRAM = `
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule, Outcome } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
const { JOURNAL, AMQP_URL } = process.env;
const write = (what, ids, ...more) => appendFileSync(JOURNAL, ids.map((id) => [what, id, process.pid, ...more].join(' ') + '\\n').join(''));
const transport = rabbitmq({ url: AMQP_URL, exchange: 'events' });
const module = MessagingModule.forRoot({
  service: 'shop', transport, retry: { attempts: 20, backoff: 20 }, reconnect: { initial: 20, max: 200, jitter: 0.2 },
});
const app = await NestFactory.createApplicationContext(module, { logger: ['error'] });
await app.get(Messaging).subscribeBatch({ route: 'reading', size: 50, maxWait: 20 }, async (_, { entries }) => {
  const ids = entries.map(({ id }) => id);
  write('start', ids, entries.length);
  await pause(Math.random() * 20);
  if (entries.length > 1 && Math.random() < 0.05) {
    write('thrown', ids);
    throw new Error('at random');
  }
  const outcomes = ids.map(() => (Math.random() < 0.02 ? new Error('at random') : Outcome.ack));
  write('fail', ids.filter((_, at) => outcomes[at] !== Outcome.ack));
  write('end', ids.filter((_, at) => outcomes[at] === Outcome.ack));
  return outcomes;
});
process.on('SIGTERM', () => app.close());
write('up', ['-']);
`;

const MESSAGES = 1_500;
/** Twice the size of a batch: what a process holds at most. */
const PREFETCH = 100;

describeRabbit('batches under faults', (rabbit) => {
  let url: string;
  let client: Client;
  let program: Program | undefined;
  let proxy: Proxy | undefined;

  beforeEachPeers(rabbit, (peers) => ({ url, client } = peers));
  afterEach(async () => {
    await program?.close();
    await proxy?.close();
    proxy = undefined;
  });

  function count(what: string): number {
    return new Set(program!.lines().flatMap(([one, id]) => (one === what ? [id] : []))).size;
  }

  async function start(through: string): Promise<Running> {
    const before = program!.lines().filter(([what]) => what === 'up').length;
    const running = program!.start({ AMQP_URL: through });
    await waitFor(() => program!.lines().filter(([what]) => what === 'up').length > before, 'a process', 60_000);
    return running;
  }

  async function publishAll(): Promise<void> {
    for (let from = 0; from < MESSAGES; from += 500) {
      const ids = Array.from({ length: 500 }, (_, at) => String(from + at));
      const results = await client.publish(...ids.map((id) => toRoute('reading', id)));
      expect(results.every(({ status }) => status === 'confirmed')).toBe(true);
    }
  }

  /** What was given up, and why. */
  async function deadLetters(): Promise<string[]> {
    const queue = 'shop:reading:dlq';
    const browser = await client.transport.queues.browse(queue);
    const found: string[] = [];
    for (let one = await browser.next(); one; one = await browser.next()) {
      const { id, reason, error, attempts } = readDeadLetter(one.message, queue);
      found.push(`${id}: ${reason}, ${error.message}, ${attempts} attempts`);
    }
    await browser.close();
    return found;
  }

  /** Nothing lost, what was handled twice was in flight at a fault, and what failed was retried. */
  async function checkAccount(faults: number): Promise<void> {
    const lines = program!.lines();
    const ended = lines.filter(([what]) => what === 'end');
    expect(new Set(ended.map(([, id]) => id)).size).toBe(MESSAGES);
    expect(ended.length - MESSAGES).toBeLessThanOrEqual(faults * PREFETCH);
    const begun = lines.filter(([what]) => what === 'start');
    // Something was under way each time, or the faults proved nothing.
    expect(begun.length).toBeGreaterThan(ended.length);
    expect(lines.filter(([what]) => what === 'fail' || what === 'thrown').length).toBeGreaterThan(0);
    // Batches were batches: without faults and retries most messages have company.
    expect(begun.filter(([, , , size]) => Number(size) > 1).length).toBeGreaterThan(MESSAGES / 2);
    // What is still in the queue may be a duplicate, which nobody waited for.
    expect(await deadLetters()).toEqual([]);
  }

  it('processes that are killed in the middle of batches lose nothing, and repeat at most what they held', async () => {
    program = new Program(PROGRAM);
    let running = await start(url);
    const publishing = publishAll();
    const kills = 2;
    for (let kill = 1; kill <= kills; kill++) {
      const enough = (kill * MESSAGES) / (kills + 1);
      await waitFor(() => count('end') >= enough, `${enough} messages`, 120_000);
      await running.end('SIGKILL');
      running = await start(url);
    }
    await publishing;
    await waitFor(() => count('end') === MESSAGES, 'all messages', 120_000);
    await running.end('SIGTERM');
    await checkAccount(kills);
  }, 300_000);

  it('connections that are cut in the middle of batches lose nothing, and what was lost with them is not settled twice', async () => {
    program = new Program(PROGRAM);
    proxy = await Proxy.start(url);
    const running = await start(proxy.url(url));
    const publishing = publishAll();
    const cuts = 4;
    for (let cut = 1; cut <= cuts; cut++) {
      const enough = (cut * MESSAGES) / (cuts + 1);
      await waitFor(() => count('end') >= enough, `${enough} messages`, 120_000);
      expect(proxy.reset()).toBeGreaterThan(0);
    }
    await publishing;
    await waitFor(() => count('end') === MESSAGES, 'all messages', 120_000);
    await running.end('SIGTERM');
    await checkAccount(cuts);
  }, 300_000);
});
