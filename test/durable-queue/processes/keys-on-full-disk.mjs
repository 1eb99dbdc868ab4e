// On a small file system of its own: sends messages of one key while their deletion cannot be written. Its only argument is
// the mount point.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { diskRetryQueue, systemClock } from 'nestjs-messaging';
import { SteadyTime } from 'nestjs-messaging/stores';

const [mount] = process.argv.slice(2);
const time = new SteadyTime(systemClock);
const ballast = join(mount, 'ballast');
writeFileSync(ballast, Buffer.alloc(300_000));
const log = { log() {}, warn() {}, error() {}, debug() {} };
const environment = { destination: 'full:default:none', clock: systemClock, time, log, onAdopted() {}, onError() {} };
const store = diskRetryQueue({ directory: join(mount, 'data') }).create(environment);
await store.open();

const append = (id, key) =>
  new Promise((resolve) => {
    const message = { id, route: 'r', body: Buffer.alloc(2_000, id), headers: {}, properties: {} };
    const to = { kind: 'route', route: 'r' };
    const rest = { to, unroutable: 'queue', priority: key ? 5 : 0, dueAt: 0, attempts: 0, returns: 0 };
    const queued = { ...rest, message, key, queuedAt: time.now(), bytes: 2_500 };
    store.append(queued, (stored, error) => resolve(error ?? stored));
  });

/** What a pass sees of the key. */
function seen() {
  const ids = [];
  const pass = store.ready(time.now());
  for (let step = pass.next(); !step.done; step = pass.next()) {
    if (step.value.message.id.startsWith('k')) ids.push(step.value.message.id);
  }
  return ids;
}

const [first] = [await append('k1', 'k'), await append('k2', 'k'), await append('k3', 'k')];
let number = 0;
while (!((await append(`m${number++}`)) instanceof Error));
const before = seen();
// It was sent; its successor is not, because the connection is lost.
const successor = store.remove(first)?.message.id;
const full = { seen: seen(), healthy: store.report.healthy };
rmSync(ballast);
// Nobody publishes, and nothing else happens: the store looks by itself.
const deadline = Date.now() + 15_000;
while (!store.report.healthy && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
const freed = { seen: seen(), healthy: store.report.healthy };
store.close();
console.log(JSON.stringify({ before, successor, full, freed }));
