// What an outbox costs: commits of a transaction with and without a message, and the relay against a bare loop that takes
// batches of the same rows and deletes them. One server, durable commits, 256 bytes, the rounds alternate; ratios of medians.
// `TEST_POSTGRES_URL` or, as root on Debian, a server of its own (PostgreSQL 15).
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { join } from 'node:path';
import { compile } from '../test/fault/compile.mjs';

const SECONDS = 3;
const ROUNDS = 3;
const CONNECTIONS = 8;
const MESSAGES = 20_000;
const BODY = { item: 'book', text: 'x'.repeat(225) };
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const shown = (value) => Math.round(value).toLocaleString('en');

const { target, remove } = compile(`outbox-${process.pid}`);
const load = createRequire(join(target, 'bench.js'));
const { Pool } = load('pg');
let server;
let app;
try {
  const url = process.env.TEST_POSTGRES_URL ?? (await ownServer());
  const pool = new Pool({ connectionString: url, max: CONNECTIONS + 4 });
  await pool.query('drop schema if exists bench cascade; create schema bench; create table bench.accounts (id bigint)');
  const sender = await application(url, false);

  const without = [];
  const withOne = [];
  for (let round = 0; round < ROUNDS; round++) {
    without.push(await commits(pool, () => undefined));
    withOne.push(await commits(pool, (client) => sender.add(client, 'account.created', BODY)));
  }
  console.log(
    `commits/s of ${CONNECTIONS} connections: without ${shown(median(without))}, with a message ${shown(median(withOne))}: ${(median(withOne) / median(without)).toFixed(2)}`,
  );

  await app.close();
  const bare = [];
  const relayed = [];
  for (let round = 0; round < ROUNDS; round++) {
    await fill(pool);
    bare.push(await rate(() => Promise.all([bareLoop(pool), bareLoop(pool)])));
    await fill(pool);
    await application(url, true);
    relayed.push(await rate(() => empty(pool)));
    await app.close();
  }
  console.log(
    `messages/s: a bare loop ${shown(median(bare))}, the relay to an embedded broker ${shown(median(relayed))}: ${(median(relayed) / median(bare)).toFixed(2)}`,
  );
  await pool.end();
} finally {
  await server?.stop();
  remove();
}

async function ownServer() {
  const { installPostgres } = load('./test/brokers/postgres/install.js');
  const { PostgresServer } = load('./test/brokers/postgres/server.js');
  const { version, root } = await installPostgres('15');
  server = await PostgresServer.start(version, root);
  return server.url();
}

async function application(url, relay) {
  load('reflect-metadata');
  const { Module } = load('@nestjs/common');
  const { NestFactory } = load('@nestjs/core');
  const { MessagingModule, memory } = load('./lib/index.js');
  const { Outbox, OutboxModule } = load('./lib/outbox/index.js');
  class Bench {}
  Module({
    imports: [
      MessagingModule.forRoot({ service: 'bench', transport: memory() }),
      OutboxModule.forRoot({ url, schema: 'bench', relay }),
    ],
  })(Bench);
  app = await NestFactory.createApplicationContext(Bench, { logger: false });
  return app.get(Outbox);
}

async function commits(pool, more) {
  await pool.query('truncate bench.accounts, bench.outbox');
  await pool.query('checkpoint');
  const end = performance.now() + SECONDS * 1_000;
  let count = 0;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const client = await pool.connect();
      while (performance.now() < end) {
        await client.query('begin');
        await client.query('insert into bench.accounts values ($1)', [count]);
        await more(client);
        await client.query('commit');
        count++;
      }
      client.release();
    }),
  );
  return count / SECONDS;
}

async function fill(pool) {
  await pool.query('truncate bench.outbox');
  await pool.query(
    `insert into bench.outbox (id, route, payload, headers, properties, dedupe_id, unroutable)
select gen_random_uuid()::text, 'account.created', convert_to($1, 'UTF8'), '{"messaging-time":1,"messaging-version":1}',
'{"contentType":"application/json"}', gen_random_uuid()::text, 'ignore' from generate_series(1, $2)`,
    [JSON.stringify(BODY), MESSAGES],
  );
  await pool.query('vacuum analyze bench.outbox');
  await pool.query('checkpoint');
}

async function bareLoop(pool) {
  const client = await pool.connect();
  for (let more = true; more;) {
    await client.query('begin');
    const { rows } = await client.query(
      'select seq, id, payload, headers::text from bench.outbox order by seq limit 100 for update skip locked',
    );
    if (rows.length > 0)
      await client.query('delete from bench.outbox where seq = any($1)', [rows.map(({ seq }) => seq)]);
    await client.query('commit');
    more = rows.length > 0;
  }
  client.release();
}

async function empty(pool) {
  for (;;) {
    const { rows } = await pool.query('select exists (select from bench.outbox) as waits');
    if (!rows[0].waits) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function rate(work) {
  const start = performance.now();
  await work();
  return (MESSAGES * 1_000) / (performance.now() - start);
}
