// This package on Redis Streams beside ioredis used well, and beside BullMQ, on the server at the address that is given:
// node bench/redis.mjs redis://localhost:6379 [rounds]. It deletes everything there.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { installPeer } from './peers.mjs';

const BODY = { payload: 'p'.repeat(240) };
const ROUTE = 'bench.done';
const [, file, url = 'redis://localhost:6379', ...rest] = process.argv;

const ROWS = {
  'publish, one at a time': { count: 2_000, inFlight: 1 },
  'publish, 256 in flight': { count: 20_000, inFlight: 256 },
  'publish, 1,000 in a call': { count: 20_000, bulk: 1_000 },
  'process, concurrency 1': { count: 5_000, concurrency: 1 },
  'process, concurrency 100': { count: 20_000, concurrency: 100 },
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
      messaging.subscribe(
        { route: ROUTE, prefetch: Math.max(10, concurrency * 2), concurrency: bounded(concurrency) },
        handler,
      );
    const stopped = await subscribe(1, () => {});
    await stopped.stop();
    return {
      add: () => messaging.publisher.publish(ROUTE, BODY),
      addMany: (count) =>
        messaging.publisher.publishMany(Array.from({ length: count }, () => ({ route: ROUTE, body: BODY }))),
      process: (concurrency, handler) => subscribe(concurrency, async () => handler()),
      end: () => application.close(),
    };
  },
  async raw(peer) {
    const client = await peer('ioredis', ({ Redis }) => new Redis(url, { protocol: 2 }));
    const reader = client.duplicate();
    const body = JSON.stringify(BODY);
    await client.xgroup('CREATE', 'raw', 'g', '0', 'MKSTREAM').catch(() => {});
    return {
      add: () => client.xadd('raw', '*', 'body', body),
      addMany: async (count) => {
        const pipeline = client.pipeline();
        for (let at = 0; at < count; at++) pipeline.xadd('raw', '*', 'body', body);
        await pipeline.exec();
      },
      process: async (concurrency, handler) => {
        for (;;) {
          const read = await reader.xreadgroup('GROUP', 'g', 'me', 'COUNT', Math.max(10, concurrency * 2), 'BLOCK', 1_000, 'STREAMS', 'raw', '>'); // prettier-ignore
          if (!read) continue;
          const ids = [];
          for (const [id, [, text]] of read[0][1]) {
            JSON.parse(text);
            handler();
            ids.push(id);
          }
          await client.pipeline().xack('raw', 'g', ...ids).xdel('raw', ...ids).exec(); // prettier-ignore
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
      add: () => queue.add(ROUTE, BODY),
      addMany: (count) => queue.addBulk(Array.from({ length: count }, () => ({ name: ROUTE, data: BODY }))),
      process: async (concurrency, handler) => {
        worker = await peer('bullmq', ({ Worker }) => new Worker('bench', async () => handler(), { connection, concurrency })); // prettier-ignore
      },
      end: async () => {
        await worker?.close();
        await queue.close();
      },
    };
  },
};

/** One row of one side, in a process of its own. */
async function measure(side, name) {
  const require = createRequire(new URL('peers/bullmq/', import.meta.url));
  const peer = async (package_, made) => made(require(package_));
  const admin = await peer('ioredis', ({ Redis }) => new Redis(url, { protocol: 2 }));
  await admin.flushall();
  const row = ROWS[name];
  const { add, addMany, process: work, end } = await sides[side](peer);
  const serverCpu = async () => {
    const info = await admin.info('cpu');
    const [user, system] = ['user', 'sys'].map((kind) =>
      Number(new RegExp(`used_cpu_${kind}:([\\d.]+)`).exec(info)[1]),
    );
    return (user + system) * 1e6;
  };
  const publish = async (count) => {
    if (row.bulk) for (let sent = 0; sent < count; sent += row.bulk) await addMany(row.bulk);
    else await calls({ count, inFlight: row.inFlight }, add);
  };
  const warm = Math.min(2_000, row.count / 2);
  let finished;
  if (row.concurrency) {
    for (let sent = 0; sent < row.count + warm; sent += 500) await addMany(500);
    const warmUp = countdown(warm);
    const measured = countdown(row.count + warm);
    void work(row.concurrency, () => {
      warmUp.handled();
      measured.handled();
    });
    await warmUp.finished;
    ({ finished } = measured);
  } else await publish(warm);
  const [server, cpu, start] = [await serverCpu(), process.cpuUsage(), performance.now()];
  if (finished) await finished;
  else await publish(row.count);
  const [seconds, used] = [(performance.now() - start) / 1_000, process.cpuUsage(cpu)];
  const count = row.count;
  const result = {
    perSecond: count / seconds,
    client: (used.user + used.system) / count,
    server: ((await serverCpu()) - server) / count,
  };
  console.log(JSON.stringify(result));
  await Promise.race([end(), new Promise((resolve) => setTimeout(resolve, 3_000))]);
  process.exit(0);
}

function compare(rounds) {
  const refusal = installPeer('bullmq');
  if (refusal) throw new Error(refusal);
  const shown = (value) => value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 1 : 0 });
  for (const name of Object.keys(ROWS)) {
    const found = Object.fromEntries(Object.keys(sides).map((side) => [side, []]));
    for (let round = 0; round < rounds; round++)
      for (const side of Object.keys(sides)) {
        const output = execFileSync(process.execPath, [file, url, '--row', side, name], {
          encoding: 'utf8',
          timeout: 300_000,
        });
        found[side].push(JSON.parse(output.trim().split('\n').at(-1)));
      }
    for (const [side, results] of Object.entries(found)) {
      const best = results.reduce((one, other) => (other.perSecond > one.perSecond ? other : one));
      const cells = [
        `${shown(best.perSecond)}/s`,
        `${shown(best.client)} µs client`,
        `${shown(best.server)} µs server`,
      ];
      console.log(`${name.padEnd(26)} ${side.padEnd(8)} ${cells.map((cell) => cell.padStart(18)).join('')}`);
    }
  }
}

if (rest[0] === '--row') await measure(rest[1], rest[2]);
else if (file === fileURLToPath(import.meta.url)) compare(Number(rest[0]) || 3);
