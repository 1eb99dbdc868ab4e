// This package on Redis Streams beside ioredis used well, and beside BullMQ, on the server at the address that is given:
// node bench/redis.mjs redis://localhost:6379 [rounds] [--only WORDS] [--fsync everysec,always] [--rate N]. It deletes
// everything there, and sets how its log is synced.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { installPeer } from './peers.mjs';

const PAYLOAD = 'p'.repeat(240);
const ROUTE = 'bench.done';
/** Messages that a consumer has at most, where its kind can have more than it handles. */
const PREFETCH = 256;
const LATENCY_SECONDS = 4;
const { values: asked, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    fsync: { type: 'string', default: 'everysec,always' },
    rate: { type: 'string' },
    row: { type: 'string' },
    side: { type: 'string' },
  },
});
const [url = 'redis://localhost:6379', rounds = '3'] = positionals;
const file = fileURLToPath(import.meta.url);

const ROWS = {
  'publish, one at a time': { count: 2_000, inFlight: 1 },
  'publish, 256 in flight': { count: 20_000, inFlight: 256 },
  'publish, 1,000 in a call': { count: 20_000, bulk: 1_000 },
  'process, concurrency 1': { count: 2_000, concurrency: 1 },
  'process, concurrency 8': { count: 10_000, concurrency: 8 },
  'process, concurrency 32': { count: 20_000, concurrency: 32 },
  'process, concurrency 100': { count: 20_000, concurrency: 100 },
  'memory of what waits': { count: 20_000, bulk: 1_000, memory: true },
  latency: { concurrency: 32, latency: true },
};

/** Calls so often, so many at a time. */
async function calls({ count, inFlight }, call) {
  let left = count;
  const line = async () => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: inFlight }, line));
}

/** Resolves when so many were handled; gives what a handler calls. */
function countdown(count) {
  let done;
  const finished = new Promise((resolve) => (done = resolve));
  return { handled: () => --count === 0 && done(), finished };
}

/** Each has its own time, and is made and read for itself. */
const body = () => ({ at: performance.now(), payload: PAYLOAD });

/** Each gives how to add and how to process, and how to end. */
const sides = {
  async ours() {
    const require = createRequire(import.meta.url);
    const { NestFactory } = require('@nestjs/core');
    const { Messaging, MessagingModule, bounded } = require('../dist/index.js');
    const { redis } = require('../dist/redis.js');
    require('reflect-metadata');
    const module = MessagingModule.forRoot({ service: 'bench', transport: redis({ url }) });
    const application = await NestFactory.createApplicationContext(module, { logger: ['error'] });
    const messaging = application.get(Messaging);
    const subscribe = (concurrency, handler) =>
      messaging.subscribe({ route: ROUTE, prefetch: PREFETCH, concurrency: bounded(concurrency) }, handler);
    const stopped = await subscribe(1, () => {});
    await stopped.stop();
    return {
      add: () => messaging.publisher.publish(ROUTE, body()),
      addMany: (count) =>
        messaging.publisher.publishMany(Array.from({ length: count }, () => ({ route: ROUTE, body: body() }))),
      process: (concurrency, handler) => subscribe(concurrency, async (data) => handler(data)),
      end: () => application.close(),
    };
  },
  async raw(peer) {
    const client = await peer('ioredis', ({ Redis }) => new Redis(url, { protocol: 2 }));
    const reader = client.duplicate();
    const fields = () => ['id', randomUUID(), 'body', JSON.stringify(body())];
    await client.xgroup('CREATE', 'raw', 'g', '0', 'MKSTREAM').catch(() => {});
    return {
      add: () => client.xadd('raw', '*', ...fields()),
      addMany: async (count) => {
        const pipeline = client.pipeline();
        for (let at = 0; at < count; at++) pipeline.xadd('raw', '*', ...fields());
        await pipeline.exec();
      },
      process: async (_, handler) => {
        for (;;) {
          const read = await reader.xreadgroup('GROUP', 'g', 'me', 'COUNT', PREFETCH, 'BLOCK', 1_000, 'STREAMS', 'raw', '>'); // prettier-ignore
          if (!read) continue;
          const ids = [];
          for (const [id, [, , , text]] of read[0][1]) {
            await handler(JSON.parse(text));
            ids.push(id);
          }
          void client.pipeline().xack('raw', 'g', ...ids).xdel('raw', ...ids).exec(); // prettier-ignore
        }
      },
      end: async () => [client, reader].forEach((one) => one.disconnect()),
    };
  },
  async bullmq(peer) {
    const { hostname: host, port, password } = new URL(url);
    const connection = {
      host,
      port: Number(port) || 6379,
      ...(password && { password: decodeURIComponent(password) }),
    };
    const queue = await peer('bullmq', ({ Queue }) => new Queue('bench', { connection, defaultJobOptions: { removeOnComplete: true } })); // prettier-ignore
    await queue.waitUntilReady();
    let worker;
    return {
      add: () => queue.add(ROUTE, body()),
      addMany: (count) => queue.addBulk(Array.from({ length: count }, () => ({ name: ROUTE, data: body() }))),
      process: async (concurrency, handler) => {
        worker = await peer('bullmq', ({ Worker }) => new Worker('bench', async ({ data }) => handler(data), { connection, concurrency })); // prettier-ignore
        await worker.waitUntilReady();
      },
      end: async () => {
        await worker?.close();
        await queue.close();
      },
    };
  },
};

const publishing = ({ bulk, inFlight }, { add, addMany }) =>
  async function publish(count) {
    if (bulk) for (let sent = 0; sent < count; sent += bulk) await addMany(bulk);
    else await calls({ count, inFlight }, add);
  };

/** A number of what the server says of itself. */
const told = (info, name) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)[1]);

/** How long it takes from the call to the handler, in ms, at so many a second. */
async function latencyOf({ concurrency }, { add, process: work }, rate) {
  const taken = [];
  let expected = Infinity;
  let done;
  const finished = new Promise((resolve) => (done = resolve));
  void work(concurrency, ({ at }) => {
    taken.push(performance.now() - at);
    if (taken.length >= expected) done();
  });
  const feed = async (seconds) => {
    const start = performance.now();
    const sent = [];
    while (performance.now() - start < seconds * 1_000) {
      const due = ((performance.now() - start) / 1_000) * rate;
      while (sent.length < due) sent.push(add());
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(sent);
    return sent.length;
  };
  const warm = await feed(1);
  expected = warm + (await feed(LATENCY_SECONDS));
  if (taken.length < expected) await finished;
  const sorted = taken.slice(warm).sort((a, b) => a - b);
  const at = (share) => sorted[Math.floor(sorted.length * share)];
  return { p50: at(0.5), p99: at(0.99) };
}

/** One row of one side, in a process of its own. */
async function measure(side, name) {
  const require = createRequire(new URL('peers/bullmq/', import.meta.url));
  const peer = async (package_, made) => made(require(package_));
  const admin = await peer('ioredis', ({ Redis }) => new Redis(url, { protocol: 2 }));
  await admin.flushall();
  const row = ROWS[name];
  const opened = await sides[side](peer);
  console.log(JSON.stringify(await resultOf(row, opened, admin)));
  await Promise.race([opened.end(), new Promise((resolve) => setTimeout(resolve, 3_000))]);
  process.exit(0);
}

async function resultOf(row, opened, admin) {
  if (row.latency) return latencyOf(row, opened, Number(asked.rate));
  const { count } = row;
  const publish = publishing(row, opened);
  if (row.memory) {
    const memory = async () => told(await admin.info('memory'), 'used_memory');
    const before = await memory();
    await publish(count);
    return { bytes: ((await memory()) - before) / count };
  }
  const serverCpu = async () => {
    const info = await admin.info('cpu');
    return (told(info, 'used_cpu_user') + told(info, 'used_cpu_sys')) * 1e6;
  };
  const warm = Math.min(2_000, count / 2);
  let finished;
  if (row.concurrency) {
    for (let sent = 0; sent < count + warm; sent += 500) await opened.addMany(500);
    const warmUp = countdown(warm);
    const measured = countdown(count + warm);
    void opened.process(row.concurrency, () => {
      warmUp.handled();
      measured.handled();
    });
    await warmUp.finished;
    ({ finished } = measured);
  } else await publish(warm);
  const [server, cpu, start] = [await serverCpu(), process.cpuUsage(), performance.now()];
  if (finished) await finished;
  else await publish(count);
  const [seconds, used] = [(performance.now() - start) / 1_000, process.cpuUsage(cpu)];
  return {
    perSecond: count / seconds,
    client: (used.user + used.system) / count,
    server: ((await serverCpu()) - server) / count,
  };
}

const shown = (value) => value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 });

/** The best of each figure: the machine has other work as well. */
function bestOf(results) {
  const names = Object.keys(results[0]);
  const best = (name) => results.map((one) => one[name]).reduce((a, b) => (name === 'perSecond' ? Math.max(a, b) : Math.min(a, b))); // prettier-ignore
  return Object.fromEntries(names.map((name) => [name, best(name)]));
}

const UNITS = {
  perSecond: '/s',
  client: 'µs client',
  server: 'µs server',
  p50: 'ms p50',
  p99: 'ms p99',
  bytes: 'bytes',
};

/** One row of one side, as another process measured it. */
function measured(side, name, rate) {
  const args = [file, url, '--row', name, '--side', side, ...(rate ? ['--rate', String(rate)] : [])];
  const output = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 300_000 });
  return JSON.parse(output.trim().split('\n').at(-1));
}

/** Every row of every side by turns, and beside each what ours is of it. */
function compare(names) {
  const found = {};
  for (const name of names) {
    const samples = Object.fromEntries(Object.keys(sides).map((side) => [side, []]));
    for (let round = 0; round < Number(rounds); round++)
      for (const side of Object.keys(sides))
        samples[side].push(measured(side, name, ROWS[name].latency && rateOf(found)));
    found[name] = Object.fromEntries(Object.keys(sides).map((side) => [side, bestOf(samples[side])]));
    for (const [side, best] of Object.entries(found[name])) {
      const cells = Object.entries(best).flatMap(([figure, value]) => [
        `${shown(value)} ${UNITS[figure]}`,
        side === 'ours' ? '' : `÷ ${shown(found[name].ours[figure] / value)}`,
      ]);
      console.log(`${name.padEnd(26)} ${side.padEnd(8)} ${cells.map((cell) => cell.padStart(17)).join('')}`);
    }
  }
}

/** Half of what BullMQ adds and processes a second where one process does both. */
function rateOf(found) {
  if (asked.rate) return Number(asked.rate);
  const [adds, handles] = ['publish, 256 in flight', 'process, concurrency 32'].map(
    (name) => found[name]?.bullmq.perSecond,
  );
  if (!adds || !handles)
    throw new Error('The row of latency needs those of BullMQ at 256 in flight and concurrency 32, or --rate');
  return Math.floor(1 / (1 / adds + 1 / handles) / 2);
}

async function main() {
  const refusal = installPeer('bullmq');
  if (refusal) throw new Error(refusal);
  const { Redis } = createRequire(new URL('peers/bullmq/', import.meta.url))('ioredis');
  const admin = new Redis(url, { protocol: 2 });
  const [, before] = await admin.config('GET', 'appendfsync');
  for (const fsync of asked.fsync.split(',')) {
    await admin.config('SET', 'appendonly', 'yes');
    await admin.config('SET', 'appendfsync', fsync);
    console.log(`## appendfsync ${fsync}`);
    compare(Object.keys(ROWS).filter((name) => name.includes(asked.only)));
  }
  await admin.config('SET', 'appendfsync', before);
  admin.disconnect();
}

if (asked.row) await measure(asked.side, asked.row);
else await main();
