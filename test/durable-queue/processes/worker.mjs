// One process on a queue directory: accepts messages, «sends» them, and says each step on its standard output. The output
// is written synchronously, so that what it said before it was killed arrives.
import { writeSync } from 'node:fs';
import { diskRetryQueue, systemClock } from 'nestjs-messaging';
import { SteadyTime } from 'nestjs-messaging/stores';

// Mostly more than is accepted: a queue that grows would make every process adopt all that those before it have left.
const PER_TURN = { run: 12, kill: 12, grow: 7, drain: 1_000, fill: 0, adopt: 0 };
/** «fill» accepts so many and ends. */
const FILL = 400;

const [directory, name, seed, mode] = process.argv.slice(2);
const say = (line) => writeSync(1, `${line}\n`);

let state = Number(seed) >>> 0;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
// At which of which steps it kills itself; the parent kills the others from outside.
const points = ['append', 'accept', 'send', 'delete', 'adopt'];
const point = mode === 'kill' ? points[Math.floor(random() * points.length)] : undefined;
let left = 1 + Math.floor(random() * 40);
function reached(step) {
  if (step === point && --left === 0) process.kill(process.pid, 'SIGKILL');
}

// «adopt» sends nothing, and kills itself right before or after one of its commits, or when it has found too few of them.
if (mode === 'adopt') {
  const { DatabaseSync } = process.getBuiltinModule?.('node:sqlite') ?? (await import('@photostructure/sqlite'));
  let steps = 1 + Math.floor(random() * 30);
  const step = () => void (--steps === 0 && process.kill(process.pid, 'SIGKILL'));
  class KillingDatabase {
    constructor(path, options) {
      this.database = new DatabaseSync(path, options);
    }
    exec(sql) {
      this.database.exec(sql);
    }
    close() {
      this.database.close();
    }
    prepare(sql) {
      const statement = this.database.prepare(sql);
      if (sql !== 'COMMIT') return statement;
      const run = () => {
        step();
        statement.run();
        step();
      };
      return { run };
    }
  }
  process.getBuiltinModule = () => ({ DatabaseSync: KillingDatabase });
}

const time = new SteadyTime(systemClock);
const log = { log() {}, warn() {}, error: (line) => say(`E ${line}`), debug() {} };
const store = diskRetryQueue({ directory, adoptInterval: 20 }).create({
  destination: 'worker:default:none',
  clock: systemClock,
  time,
  log,
  onAdopted(count) {
    say(`D ${count}`);
    reached('adopt');
  },
  onError: (operation, error) => say(`E ${operation} ${error.message}`),
});

let number = 0;
let filled = 0;
function accept() {
  const id = `${name}-${number++}`;
  const message = { id, route: 'r', body: Buffer.alloc(Math.floor(random() * 2_000), id), headers: {}, properties: {} };
  const key = random() < 0.3 ? `k${Math.floor(random() * 3)}` : undefined;
  const plain = {
    dedupeId: id,
    to: { kind: 'route', route: 'r' },
    unroutable: 'queue',
    priority: 0,
    dueAt: 0,
    attempts: 0,
    returns: 0,
  };
  store.append({ ...plain, message, key, queuedAt: time.now(), bytes: 600 }, (_, error) => {
    if (!error) say(`A ${id}`);
    if (mode === 'fill' && !error && ++filled === FILL) process.kill(process.pid, 'SIGKILL');
    reached('accept');
  });
  reached('append');
}

function send(limit) {
  const pass = store.ready(time.now());
  for (let n = 0; n < limit;) {
    const { done, value } = pass.next();
    if (done) return;
    // The next of its key goes at once.
    for (let stored = value; stored && n < limit; n++) {
      say(`S ${stored.message.id} ${stored.message.body.length}`);
      reached('send');
      stored = store.remove(stored);
      reached('delete');
    }
  }
  pass.return();
}

await store.open();
say(`P ${process.pid}`);
let stopping = false;
process.stdin.on('data', () => (stopping = true));
let turns = 0;
(function turn() {
  // Whatever is left for others.
  if (mode === 'adopt' && ++turns === 100) process.kill(process.pid, 'SIGKILL');
  if (stopping && mode !== 'drain') {
    store.close();
    process.stdin.destroy();
    return;
  }
  if (mode === 'fill') for (let n = 0; n < 100; n++) accept();
  else if (mode !== 'drain' && mode !== 'adopt') for (let n = 0; n < 8; n++) accept();
  send(PER_TURN[mode]);
  if (mode === 'drain' && stopping && store.depth === 0) {
    store.close();
    process.stdin.destroy();
    return;
  }
  setTimeout(turn, mode === 'drain' ? 5 : 1);
})();
