// What the retry queue on disk costs: against bare SQLite with the same settings and bytes, and against a bare log that is
// appended and synced. All in one run, one after the other, several rounds, the best of each.
import { fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { crc32 } from 'node:zlib';
import { diskRetryQueue, systemClock } from 'nestjs-messaging';
import { SteadyTime } from 'nestjs-messaging/stores';

const SECONDS = 1.5;
const ROUNDS = 3;
const BODY = Buffer.from(JSON.stringify({ item: 'book', text: 'x'.repeat(230) }));
const root = mkdtempSync(join(process.cwd(), '.bench-disk-'));
const time = new SteadyTime(systemClock);
const number = (value) => Math.round(value).toLocaleString('en');

const { DatabaseSync } = process.getBuiltinModule?.('node:sqlite') ?? (await import('@photostructure/sqlite'));

/** Takes batches of what is in flight, synced before it returns: nothing but a row of the bytes, made beforehand. */
function sqlite() {
  return batches(
    'CREATE TABLE m (seq INTEGER PRIMARY KEY, id TEXT, meta TEXT, body BLOB)',
    'INSERT INTO m (id, meta, body) VALUES (?, ?, ?)',
    (id) => [id, META, BODY],
  );
}

/** The least that is a queue: what the rows are sorted and expire by is there, and each message is made into text. */
function sqliteQueue() {
  return batches(
    `CREATE TABLE m (seq INTEGER PRIMARY KEY, id TEXT, lane TEXT, priority INTEGER, due_at INTEGER, expires_at INTEGER,
      queued_at INTEGER, attempts INTEGER, checksum INTEGER, meta TEXT, body BLOB);
      CREATE INDEX ready ON m (priority, due_at, seq)`,
    'INSERT INTO m (id, lane, priority, due_at, expires_at, queued_at, attempts, checksum, meta, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    (id) => {
      const meta = JSON.stringify(metaOf());
      return [id, null, 0, 0, null, Date.now(), 0, crc32(BODY, crc32(id + meta)), meta, BODY];
    },
  );
}

function batches(schema, sql, values) {
  const database = new DatabaseSync(join(mkdtempSync(join(root, 'sqlite-')), 'a.db'));
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${schema}`);
  const insert = database.prepare(sql);
  const begin = database.prepare('BEGIN');
  const commit = database.prepare('COMMIT');
  let n = 0;
  return (count) => {
    begin.run();
    for (let i = 0; i < count; i++) insert.run(...values(`id-${n++}`));
    commit.run();
  };
}

function log() {
  const file = openSync(join(mkdtempSync(join(root, 'log-')), 'log'), 'a');
  return (count) => {
    const line = Buffer.concat([Buffer.from(META), BODY]);
    writeSync(file, Buffer.concat(Array.from({ length: count }, () => line)));
    fdatasyncSync(file);
  };
}

const HEADERS = { 'messaging-time': 1_700_000_000_000, 'messaging-version': 1 };
const metaOf = () => ({
  to: { kind: 'route', route: 'order.created' },
  route: 'order.created',
  headers: HEADERS,
  properties: { contentType: 'application/json' },
  unroutable: 'reject',
});
const META = JSON.stringify(metaOf());

async function store() {
  const quiet = { log() {}, warn() {}, error: console.error, debug() {} };
  const factory = diskRetryQueue({ directory: mkdtempSync(join(root, 'store-')) });
  const made = factory.create({
    destination: 'bench:default:none',
    clock: systemClock,
    time,
    log: quiet,
    onAdopted() {},
    onError() {},
  });
  await made.open();
  let n = 0;
  const append = (done) => {
    const message = {
      id: `id-${n++}`,
      route: 'order.created',
      body: BODY,
      headers: HEADERS,
      properties: { contentType: 'application/json' },
    };
    // Written out, as the publisher does: a spread would cost as much as all the rest.
    const queued = {
      to: { kind: 'route', route: 'order.created' },
      message,
      dedupeId: message.id,
      priority: 0,
      maxAttempts: undefined,
      backoff: undefined,
      bytes: 800,
      attempts: 0,
      returns: 0,
      queuedAt: time.now(),
      sendAt: undefined,
      unroutable: 'reject',
      key: undefined,
      dueAt: 0,
      expiresAt: undefined,
    };
    made.append(queued, done);
  };
  return { append, made, close: () => made.close() };
}

/** Accepted per second with so many under way at a time. */
async function acceptedPerSecond(inFlight) {
  const { append, close } = await store();
  let accepted = 0;
  const cpu = process.cpuUsage();
  const began = performance.now();
  await new Promise((resolve) => {
    let open = inFlight;
    const one = () =>
      append(() => {
        accepted++;
        if (performance.now() - began < SECONDS * 1_000) one();
        else if (--open === 0) resolve();
      });
    for (let n = 0; n < inFlight; n++) one();
  });
  const result = resultOf(accepted, began, cpu);
  close();
  return result;
}

function barePerSecond(make, batch) {
  const write = make();
  const cpu = process.cpuUsage();
  const began = performance.now();
  let written = 0;
  while (performance.now() - began < SECONDS * 1_000) {
    write(batch);
    written += batch;
  }
  return resultOf(written, began, cpu);
}

/** Per second, and microseconds of CPU each: the second figure is the same on a machine that others use. */
function resultOf(count, began, cpuBefore) {
  const { user, system } = process.cpuUsage(cpuBefore);
  return { rate: count / ((performance.now() - began) / 1_000), cpu: (user + system) / count };
}

/** So many are queued, then sent: what each tenth of them costs, and the memory after it. */
async function soak(total) {
  const { append, close, made } = await store();
  const part = total / 10;
  const line = (what, n, cpuBefore, began) => {
    const { rate, cpu } = resultOf(part, began, cpuBefore);
    globalThis.gc?.();
    const { rss, heapUsed } = process.memoryUsage();
    console.log(
      `${what} ${number((n + 1) * part).padStart(10)}: ${cpu.toFixed(1).padStart(5)} µs of CPU each, ${number(rate).padStart(7)}/s, heap ${number(heapUsed / 2 ** 20)} MiB, resident ${number(rss / 2 ** 20)} MiB`,
    );
  };
  for (let n = 0; n < 10; n++) {
    const [cpu, began] = [process.cpuUsage(), performance.now()];
    for (let left = part; left > 0; left -= 1_000)
      await new Promise((resolve) => {
        let open = Math.min(1_000, left);
        for (let i = open; i > 0; i--) append(() => --open === 0 && resolve());
      });
    line('queued', n, cpu, began);
  }
  const pass = made.ready(time.now());
  for (let n = 0; n < 10; n++) {
    const [cpu, began] = [process.cpuUsage(), performance.now()];
    for (let left = part; left > 0; left--) {
      const { done, value } = pass.next();
      if (done) throw new Error(`${left + (9 - n) * part} are missing`);
      made.remove(value);
      // As a confirm of the broker does.
      if (left % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    line('sent  ', n, cpu, began);
  }
  made.flush();
  console.log(`left: ${made.depth}`);
  close();
}

/** The delay of the event loop while so many a second are accepted, in milliseconds. */
async function delayAt(perSecond) {
  const { append, close } = await store();
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  const began = performance.now();
  let sent = 0;
  let accepted = 0;
  while (performance.now() - began < 4_000) {
    const due = ((performance.now() - began) / 1_000) * perSecond;
    for (; sent < due; sent++) append(() => accepted++);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  histogram.disable();
  const seconds = (performance.now() - began) / 1_000;
  close();
  return { rate: accepted / seconds, p99: histogram.percentile(99) / 1e6, max: histogram.max / 1e6 };
}

/** How long the disk alone takes to sync so many bytes. */
function syncTimes(bytes) {
  const file = openSync(join(mkdtempSync(join(root, 'sync-')), 'log'), 'a');
  const block = Buffer.alloc(bytes, 1);
  const times = [];
  for (const end = performance.now() + 2_000; performance.now() < end;) {
    writeSync(file, block);
    const began = performance.now();
    fdatasyncSync(file);
    times.push(performance.now() - began);
  }
  times.sort((one, other) => one - other);
  const at = (share) => times[Math.floor((times.length - 1) * share)].toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`;
}

const best = new Map();
function note(name, { rate, cpu }) {
  const before = best.get(name) ?? { rate: 0, cpu: Infinity };
  best.set(name, { rate: Math.max(before.rate, rate), cpu: Math.min(before.cpu, cpu) });
}

async function compare() {
  for (let round = 0; round < ROUNDS; round++) {
    for (const inFlight of [1, 1_000]) {
      note(`retry queue on disk, ${inFlight} in flight`, await acceptedPerSecond(inFlight));
      note(`bare SQLite, ${inFlight} in flight`, barePerSecond(sqlite, inFlight));
      note(`SQLite as a queue, ${inFlight} in flight`, barePerSecond(sqliteQueue, inFlight));
      note(`bare log, ${inFlight} in flight`, barePerSecond(log, inFlight));
    }
  }
  for (const inFlight of [1, 1_000]) {
    const ours = best.get(`retry queue on disk, ${inFlight} in flight`);
    for (const name of ['retry queue on disk', 'SQLite as a queue', 'bare SQLite', 'bare log']) {
      const { rate, cpu } = best.get(`${name}, ${inFlight} in flight`);
      console.log(
        `${`${name}, ${inFlight} in flight`.padEnd(40)} ${number(rate).padStart(10)}/s  ours is ${(ours.rate / rate).toFixed(2)} of it`,
        `  ${cpu.toFixed(1).padStart(6)} µs of CPU each`,
      );
    }
  }
  for (const kib of [8, 64]) console.log(`fdatasync alone, ${kib} KiB each: ${syncTimes(kib * 1_024)}`);
  const { rate, p99, max } = await delayAt(10_000);
  console.log(`event-loop delay at ${number(rate)} accepted/s: p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms`);
}

const soaked = process.argv.indexOf('--soak');
try {
  if (soaked === -1) await compare();
  else await soak(Number(process.argv[soaked + 1]));
} finally {
  rmSync(root, { recursive: true, force: true });
}
