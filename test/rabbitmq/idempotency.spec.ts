import { afterEach, expect, it } from '@jest/globals';
import { loadSqlite } from '../../lib/clients/sqlite.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Program, type Running } from '../e2e/support/program.js';
import { seeded } from '../unit/support/application.js';
import { type Client, toRoute } from './client.js';
import { beforeEachPeers } from './peers.js';

/** Its store writes a line as soon as «done» is recorded. */
const PROGRAM = `
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule, sqliteIdempotencyStore } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
const { JOURNAL, AMQP_URL, STORE } = process.env;
const write = (...words) => appendFileSync(JOURNAL, words.join(' ') + '\\n');
const sqlite = sqliteIdempotencyStore({ file: STORE });
const idempotencyStore = {
  kind: 'watched',
  create(environment) {
    const store = sqlite.create(environment);
    const complete = store.complete.bind(store);
    store.complete = async (key, ...more) => {
      const recorded = await complete(key, ...more);
      if (recorded) write('done', key.split('.').at(-1), process.pid);
      return recorded;
    };
    return store;
  },
};
const transport = rabbitmq({ url: AMQP_URL, exchange: 'events' });
const module = MessagingModule.forRoot({ service: 'shop', transport, idempotencyStore, retry: { attempts: 20, backoff: 20 } });
const app = await NestFactory.createApplicationContext(module, { logger: ['error'] });
await app.get(Messaging).subscribe({ route: 'paid', prefetch: 20, idempotent: { lease: 2_000 } }, async (_, { id }) => {
  write('start', id, process.pid);
  await pause(Math.random() * 10);
  if (Math.random() < 0.02) throw new Error('at random');
  write('end', id, process.pid);
});
process.on('SIGTERM', () => app.close());
write('up', '-', process.pid);
`;

const MESSAGES = Number(process.env.IDEMPOTENCY_MESSAGES ?? 1_000);
const COPIES = 3;
const KILLS = 6;

describeRabbit('two processes that share an idempotency store', (rabbit) => {
  let url: string;
  let client: Client;
  let program: Program | undefined;

  beforeEachPeers(rabbit, (peers) => ({ url, client } = peers));
  afterEach(() => program?.close());

  it(`handle all of ${MESSAGES} messages that come ${COPIES} times in disorder, and none again after its «done», though they are killed`, async () => {
    const random = seeded(7);
    const own = (program = new Program(PROGRAM));
    const store = own.file('handled.sqlite');
    const start = (): Running => own.start({ AMQP_URL: url, STORE: store });
    const count = (what: string): number =>
      new Set(own.lines().flatMap(([one, id]) => (one === what ? [id] : []))).size;
    const running = [start(), start()];
    await waitFor(() => own.lines().length === 2, 'two processes', 60_000);
    const publishing = publishAll(client, random);

    for (let kill = 1; kill <= KILLS; kill++) {
      const enough = (kill * MESSAGES) / (KILLS + 1);
      await waitFor(() => count('done') >= enough, `${enough} messages`, 240_000);
      const at = Math.floor(random() * running.length);
      await running[at].end('SIGKILL');
      running[at] = start();
    }
    await publishing;
    // Who was killed after the record may not have written his line, so the store is asked.
    const rows = (await loadSqlite('a test')).open(store, { readOnly: true });
    const recorded = rows.prepare('SELECT count(*) AS done FROM handled WHERE token IS NULL');
    await waitFor(async () => recorded.get()!.done === MESSAGES && (await isEmpty(client)), 'the end', 240_000);
    rows.close();

    const lines = own.lines();
    expect(count('end')).toBe(MESSAGES);
    expect(handledAgain(lines)).toEqual([]);
    // The kills hit: some handlers were begun without an end, and their messages handled again.
    expect(lines.filter(([what]) => what === 'start').length).toBeGreaterThan(MESSAGES);
    expect(await client.transport.queues.depth('shop:paid:dlq')).toBe(0);
  }, 600_000);
});

async function publishAll(client: Client, random: () => number): Promise<void> {
  const ids = Array.from({ length: MESSAGES * COPIES }, (_, at) => String(at % MESSAGES));
  for (let at = ids.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [ids[at], ids[other]] = [ids[other], ids[at]];
  }
  for (let at = 0; at < ids.length; at += 50)
    await Promise.all(ids.slice(at, at + 50).map((id) => client.insist(toRoute('paid', id))));
}

async function isEmpty({ transport }: Client): Promise<boolean> {
  return (await transport.queues.depth('shop:paid:queue')) === 0;
}

/** Handlers that began after «done» was recorded. */
function handledAgain(lines: readonly string[][]): string[] {
  const done = new Set<string>();
  return lines.flatMap(([what, id]) => {
    if (what === 'done') done.add(id);
    return what === 'start' && done.has(id) ? [id] : [];
  });
}
