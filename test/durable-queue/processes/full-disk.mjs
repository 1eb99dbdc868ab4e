// On a small file system of its own: fills it, and tells what became of everything. Its only argument is the mount point.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { diskRetryQueue, systemClock } from 'nestjs-messaging';
import { SteadyTime } from 'nestjs-messaging/stores';

const [mount] = process.argv.slice(2);
const time = new SteadyTime(systemClock);
const lines = [];
const line = (text) => void lines.push(text);
const ballast = join(mount, 'ballast');
writeFileSync(ballast, Buffer.alloc(300_000));
const environment = {
  destination: 'full:default:none',
  clock: systemClock,
  time,
  log: { log() {}, warn: line, error: line, debug() {} },
  onAdopted() {},
  onError() {},
};
const factory = diskRetryQueue({ directory: join(mount, 'data') });
const store = factory.create(environment);
await store.open();

const append = (id) =>
  new Promise((resolve) => {
    const message = { id, route: 'r', body: Buffer.alloc(2_000, id), headers: {}, properties: {} };
    const rest = {
      to: { kind: 'route', route: 'r' },
      unroutable: 'queue',
      priority: 0,
      dueAt: 0,
      attempts: 0,
      returns: 0,
    };
    store.append({ ...rest, message, queuedAt: time.now(), bytes: 2_500 }, (stored, error) => resolve(error ?? stored));
  });

const kept = [];
let refused;
for (let n = 0; n < 5_000 && !refused; n++) {
  const result = await append(`m${n}`);
  if (result instanceof Error) refused = result;
  else kept.push(result);
}
const full = { code: refused?.code, cause: refused?.cause?.message, depth: store.depth, healthy: store.report.healthy };
// What is sent while the disk is full is not handed out again.
for (const stored of kept.slice(0, 10)) store.remove(stored);
const pass = store.ready(time.now());
const again = pass.next().value?.message.id;
pass.return();
rmSync(ballast);
const after = await append('after');
const recovered = { after: after.message?.id, depth: store.depth, healthy: store.report.healthy };
store.close();
const second = factory.create(environment);
await second.open();
const survived = second.depth;
second.close();
console.log(JSON.stringify({ kept: kept.length, full, again, recovered, survived, lines }));
