import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import type { TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { postgres } from 'nestjs-messaging/postgres';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { loadSqlite } from '../../lib/clients/sqlite.js';
import { systemClock } from '../../lib/clock/clock.js';
import type { Transport } from '../../lib/transport/transport.js';
import { announcedNats } from '../brokers/nats/availability.js';
import { describeNats } from '../brokers/nats.js';
import { describePostgres } from '../brokers/postgres.js';
import { announcedPostgres } from '../brokers/postgres/availability.js';
import { announcedRabbit } from '../brokers/rabbitmq/availability.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';

const WORKER = join(__dirname, 'worker.mjs');
/** A quick look by default; with `LONG_RUNS=1`, or `KILLS=400`, hundreds. */
const KILLS = Number(process.env.KILLS ?? (process.env.LONG_RUNS ? 200 : 6));
const AT_A_TIME = 3;
/** Of transactions in PostgreSQL, four at a time: each kind of step of the first ones, and some of later ones. */
const STEPS =
  process.env.KILLS || process.env.LONG_RUNS ? Array.from({ length: 200 }, (_, n) => n + 1) : [7, 17, 27, 37, 47, 90];
const running = new Set<ChildProcess>();

interface Place {
  readonly broker: { readonly system: string; readonly url: string };
  readonly records: string;
  readonly orders: string;
  /** The records are there, and not in a file. */
  readonly inPostgres?: string;
  /** The local transactions are there, and it is asked what became of them. */
  readonly proven?: string;
}

/** Resolves with the signal that ended it. */
function work(
  place: Place & { readonly step?: number },
  name: string,
  seed: number,
  mode: 'kill' | 'drain',
): Promise<NodeJS.Signals | null> {
  const settings = JSON.stringify({ ...place, name, seed, mode });
  const child = spawn(process.execPath, ['--no-warnings', WORKER, settings], { stdio: ['ignore', 'inherit', 'pipe'] });
  running.add(child);
  let errors = '';
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  return new Promise((resolve, reject) =>
    child.once('close', (code, signal) => {
      running.delete(child);
      if (code === 0 || signal === 'SIGKILL') resolve(signal);
      else reject(new Error(`${name} (${mode}, seed ${seed}) ended with ${code}: ${errors}`));
    }),
  );
}

/** Everything that is published, by the id of its message. */
async function collect(factory: TransportFactory): Promise<{ transport: Transport; received: string[] }> {
  const transport = factory.create();
  const received: string[] = [];
  await transport.connect({
    clock: systemClock,
    service: 'shop',
    random: Math.random,
    reconnect: { initial: 20, max: 200, jitter: 0.2 },
    confirmTimeout: 10_000,
    provision: true,
    onEvent: () => undefined,
  });
  const topology = { queue: 'shop:order.created:queue', patterns: ['order.created'], provision: true };
  await transport.declare(topology);
  await transport.subscribe(
    { topology, prefetch: 200 },
    {
      delivery: (delivery) => {
        received.push(delivery.message.id);
        void delivery.ack();
      },
      lost: () => undefined,
      state: () => undefined,
    },
  );
  return { transport, received };
}

async function messagesInFile(file: string): Promise<string[]> {
  const database = (await loadSqlite('a test')).open(file);
  try {
    const rows = database.prepare('SELECT message FROM sent ORDER BY message').all();
    return rows.map(({ message }) => message as string);
  } finally {
    database.close();
  }
}

async function messagesIn(url: string): Promise<string[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<{ message: string }>('select message from sent order by message')).rows.map(
      ({ message }) => message,
    );
  } finally {
    await client.end();
  }
}

async function kills(
  factory: TransportFactory,
  broker: Place['broker'],
  { inPostgres, proven }: Pick<Place, 'inPostgres' | 'proven'> = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'transaction-kills-'));
  const place = {
    broker,
    records: join(folder, 'records.sqlite'),
    orders: join(folder, 'orders.sqlite'),
    inPostgres,
    proven,
  };
  const { transport, received } = await collect(factory);
  try {
    let killed = 0;
    const line = async (offset: number): Promise<void> => {
      for (let n = offset; n < KILLS; n += AT_A_TIME)
        if (
          (await work(
            { ...place, ...(proven && { step: STEPS[n % STEPS.length] }) },
            `w${n}`,
            n * 7919 + 1,
            'kill',
          )) === 'SIGKILL'
        )
          killed++;
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, (_, offset) => line(offset)));
    await work(place, 'drain', 1, 'drain');
    const committed = proven ? await messagesIn(proven) : await messagesInFile(place.orders);
    const unique = (): Set<string> => new Set(received);
    await waitFor(() => committed.every((id) => unique().has(id)), 'all that has committed', 30_000).catch(
      () => undefined,
    );
    const arrived = unique();
    expect(committed.filter((id) => !arrived.has(id))).toEqual([]);
    expect([...arrived].filter((id) => !committed.includes(id))).toEqual([]);
    console.log(
      `${killed} kills: ${committed.length} committed, 0 lost, 0 sent of what was rolled back, ${received.length - arrived.size} sent twice`,
    );
    expect(killed).toBeGreaterThan(KILLS / 2);
    if (!proven) expect(committed.length).toBeGreaterThan(KILLS);
  } finally {
    await transport.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
});

const name = `${KILLS} processes killed at any step, ${AT_A_TIME} at a time on one store: what has committed arrives, and nothing else`;
const TIMEOUT_MS = 120_000 + KILLS * 5_000;

/** It takes long, and shows the same with each version. */
const newest = (version: string, all: readonly { readonly version: string }[]): typeof test | typeof test.skip =>
  process.env.LONG_RUNS || version === all.at(-1)?.version ? test : test.skip;

describeRabbit('transactional sends', (rabbit) => {
  newest(rabbit.version, announcedRabbit().available)(
    name,
    async () => {
      const url = await rabbit.freshVhostUrl();
      await kills(rabbitmq({ url }), { system: 'rabbitmq', url });
    },
    TIMEOUT_MS,
  );
});

describeNats('transactional sends', (server) => {
  newest(server.version, announcedNats().available)(
    name,
    async () => {
      const url = await server.url();
      await kills(nats({ servers: url }), { system: 'nats', url });
    },
    TIMEOUT_MS,
  );
});

describePostgres('transactional sends, with their records in it', (server) => {
  newest(server.version, announcedPostgres().available)(
    name,
    async () => {
      const url = await server.url();
      await kills(postgres({ url }), { system: 'postgres', url }, { inPostgres: url });
    },
    TIMEOUT_MS,
  );
});

describePostgres('transactional sends, with their transactions in it', (server) => {
  test(
    name,
    async () => {
      const url = await server.url();
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.query('create table sent (message text)');
      await client.end();
      await kills(postgres({ url }), { system: 'postgres', url }, { inPostgres: url, proven: url });
    },
    TIMEOUT_MS,
  );
});
