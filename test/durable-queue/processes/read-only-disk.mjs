// On a small file system of its own: starts on it while it cannot be written. Its only argument is the mount point.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { diskRetryQueue, systemClock } from 'nestjs-messaging';
import { SteadyTime } from 'nestjs-messaging/stores';

const [mount, role] = process.argv.slice(2);
const time = new SteadyTime(systemClock);
const remount = (mode) => execFileSync('mount', ['-o', `remount,${mode}`, mount]);
const quiet = { log() {}, warn() {}, error() {}, debug() {} };
const environment = {
  destination: 'full:default:none',
  clock: systemClock,
  time,
  log: quiet,
  onAdopted() {},
  onError() {},
};

async function open(name) {
  const store = diskRetryQueue({ directory: join(mount, name) }).create(environment);
  const error = await store.open().then(
    () => undefined,
    (reason) => reason,
  );
  return { store, error };
}

function append(store, id) {
  const message = { id, route: 'r', body: Buffer.from(id), headers: {}, properties: {} };
  const rest = {
    to: { kind: 'route', route: 'r' },
    unroutable: 'queue',
    priority: 0,
    dueAt: 0,
    attempts: 0,
    returns: 0,
  };
  return new Promise((resolve) =>
    store.append({ ...rest, message, queuedAt: time.now(), bytes: 600 }, (_, error) => resolve(error?.code ?? 'kept')),
  );
}

// In a process of its own: a file that is open for writing keeps the disk from becoming read-only.
if (role === 'seed') {
  const { store: before } = await open('data');
  await append(before, 'before');
  before.close();
} else {
  execFileSync(process.execPath, [fileURLToPath(import.meta.url), mount, 'seed']);
  await check();
}

async function check() {
  remount('ro');
  const missing = await open('missing');
  const { store, error } = await open('data');
  const readOnly = {
    boots: error === undefined,
    append: await append(store, 'refused'),
    healthy: store.report.healthy,
  };
  remount('rw');
  // It is opened again a second after the last time.
  let append2;
  const deadline = Date.now() + 10_000;
  do {
    await new Promise((resolve) => setTimeout(resolve, 100));
    append2 = await append(store, 'after');
  } while (append2 !== 'kept' && Date.now() < deadline);
  const ids = [];
  const pass = store.ready(time.now());
  for (let step = pass.next(); !step.done; step = pass.next()) ids.push(step.value.message.id);
  store.close();
  console.log(
    JSON.stringify({
      missing: missing.error?.code,
      readOnly,
      writable: { append: append2, healthy: store.report.healthy, ids },
    }),
  );
}
