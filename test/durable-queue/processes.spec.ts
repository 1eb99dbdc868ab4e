import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { files, temporaryDirectory } from './support/queue.js';

const WORKER = join(__dirname, 'processes/worker.mjs');
/** A quick look by default; `KILLS=200 npm test -- test/durable-queue/processes` is the whole of it. */
const KILLS = Number(process.env.KILLS ?? 16);
const ADOPTERS = Math.ceil(KILLS / 2);

/** A process on a directory, with what it said. */
class Worker {
  readonly accepted: string[] = [];
  readonly sent: string[] = [];
  readonly errors: string[] = [];
  adopted = 0;
  pid: number | undefined;
  readonly ended: Promise<void>;
  private readonly process: ChildProcess;
  private rest = '';
  private waiters: (() => void)[] = [];

  constructor(
    directory: string,
    name: string,
    seed: number,
    mode: 'kill' | 'run' | 'grow' | 'drain' | 'fill' | 'adopt',
    prefix: string[] = [],
  ) {
    const [command, ...args] = [...prefix, process.execPath, WORKER, directory, name, String(seed), mode];
    this.process = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.process.stdin!.on('error', () => undefined);
    this.process.stdout!.on('data', (chunk: Buffer) => this.read(chunk.toString()));
    this.ended = new Promise((resolve) => this.process.once('close', () => resolve()));
  }

  /** Kills it from outside when it has said so many lines; it may have killed itself before. */
  async kill(lines: number): Promise<void> {
    await Promise.race([this.ended, this.until(() => this.accepted.length + this.sent.length >= lines)]);
    this.process.kill('SIGKILL');
    await this.ended;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  stop(): Promise<void> {
    this.process.stdin!.write('stop\n');
    return this.ended;
  }

  private read(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    for (const line of lines) {
      const [what, value] = line.split(' ');
      if (what === 'A') this.accepted.push(value);
      else if (what === 'S') this.sent.push(value);
      else if (what === 'D') this.adopted += Number(value);
      else if (what === 'P') this.pid = Number(value);
      else this.errors.push(line);
    }
    for (const resolve of this.waiters.splice(0)) resolve();
  }
}

/** Everything that was accepted was sent; returns how many were sent more than once. */
function account(workers: readonly Worker[]): number {
  const sent = workers.flatMap((worker) => worker.sent);
  const unique = new Set(sent);
  const lost = workers.flatMap(({ accepted }) => accepted).filter((id) => !unique.has(id));
  expect(lost).toEqual([]);
  expect(workers.flatMap(({ errors }) => errors)).toEqual([]);
  return sent.length - unique.size;
}

async function drain(directory: string): Promise<Worker> {
  const drainer = new Worker(directory, 'drain', 1, 'drain');
  await drainer.until(() => drainer.pid !== undefined);
  // Its own file alone is left when all others are adopted.
  while (files(directory).length > 1)
    await Promise.race([drainer.ended, new Promise((resolve) => setTimeout(resolve, 20))]);
  await drainer.stop();
  return drainer;
}

describe('processes that share a directory', () => {
  test(
    `${KILLS} of them killed at any step, two at a time, lose nothing that was accepted`,
    async () => {
      const directory = temporaryDirectory();
      const workers: Worker[] = [];
      const line = async (offset: number): Promise<void> => {
        for (let n = offset; n < KILLS; n += 2) {
          const worker = new Worker(directory, `w${n}`, n * 7919 + 1, 'kill');
          workers.push(worker);
          await worker.kill(20 + ((n * 37) % 200));
        }
      };
      await Promise.all([line(0), line(1)]);
      workers.push(await drain(directory));
      const duplicates = account(workers);
      const accepted = workers.reduce((sum, worker) => sum + worker.accepted.length, 0);
      const adopted = workers.reduce((sum, worker) => sum + worker.adopted, 0);
      console.log(`${KILLS} kills: ${accepted} accepted, 0 lost, ${duplicates} sent twice, ${adopted} adopted`);
      expect(accepted).toBeGreaterThan(KILLS * 5);
      expect(adopted).toBeGreaterThan(KILLS);
      // What one process has sent in the 50 ms before its end, and one batch of an adoption.
      expect(duplicates).toBeLessThan(KILLS * 100);
      expect(readdirSync(directory)).toEqual([]);
    },
    60_000 + KILLS * 2_000,
  );

  test(
    `${ADOPTERS} of them killed before or after any commit of an adoption, three at a time, repeat nothing of what they moved`,
    async () => {
      const directory = temporaryDirectory();
      const workers = [1, 2, 3].map((n) => new Worker(directory, `f${n}`, n, 'fill'));
      await Promise.all(workers.map(({ ended }) => ended));
      const adopters: Worker[] = [];
      const line = async (offset: number): Promise<void> => {
        for (let n = offset; n < ADOPTERS; n += 3) {
          const adopter = new Worker(directory, `a${n}`, n * 7919 + 1, 'adopt');
          adopters.push(adopter);
          await adopter.ended;
        }
      };
      await Promise.all([line(0), line(1), line(2)]);
      workers.push(...adopters, await drain(directory));
      expect(workers[0].accepted.length).toBe(400);
      // Nothing was sent before, so that nothing was in flight at any kill.
      expect(account(workers)).toBe(0);
      expect(adopters.reduce((sum, { adopted }) => sum + adopted, 0)).toBeGreaterThan(0);
      expect(readdirSync(directory)).toEqual([]);
    },
    60_000 + ADOPTERS * 4_000,
  );

  test.each([2, 4])('%i of them, living, never take from each other', async (count) => {
    const directory = temporaryDirectory();
    const workers = Array.from({ length: count }, (_, n) => new Worker(directory, `w${n}`, n, 'run'));
    await Promise.all(workers.map((worker) => worker.until(() => worker.sent.length > 150)));
    expect(workers.map(({ adopted }) => adopted)).toEqual(workers.map(() => 0));
    await Promise.all(workers.map((worker) => worker.stop()));
    workers.push(await drain(directory));
    expect(account(workers)).toBe(0);
  });

  const namespaces = process.platform === 'linux' && works('unshare', ['--pid', '--fork', 'true']);
  (namespaces ? test : test.skip)('two that both are process 1 do not take each other for dead', async () => {
    const directory = temporaryDirectory();
    const prefix = ['unshare', '--pid', '--fork', '--kill-child'];
    // The first leaves something to be adopted, whenever it is killed.
    const workers = (['grow', 'run'] as const).map((mode, n) => new Worker(directory, `w${n}`, n, mode, prefix));
    await Promise.all(workers.map((worker) => worker.until(() => worker.sent.length > 50)));
    expect(workers.map(({ pid }) => pid)).toEqual([1, 1]);
    expect(workers.map(({ adopted }) => adopted)).toEqual([0, 0]);
    await workers[0].kill(0);
    await workers[1].until(() => workers[1].adopted > 0);
    await workers[1].stop();
    workers.push(await drain(directory));
    account(workers);
  });
});

/** Whether this machine has the command and allows it. */
function works(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    console.warn(`SKIPPED: «${command} ${args.join(' ')}» does not work here`);
    return false;
  }
}

const traceable = process.platform === 'linux' && works('strace', ['-V']);
(traceable ? test : test.skip)('a message is synced to the disk between its writing and its acceptance', async () => {
  const directory = temporaryDirectory();
  const log = join(temporaryDirectory(), 'trace');
  mkdirSync(join(log, '..'), { recursive: true });
  const prefix = ['strace', '-f', '-qq', '-y', '-s', '64', '-e', 'trace=pwrite64,write,fdatasync,fsync', '-o', log];
  const worker = new Worker(directory, 'w', 3, 'run', prefix);
  await worker.until(() => worker.accepted.length > 200);
  await worker.stop();
  let unsynced = false;
  let receipts = 0;
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    if (/pwrite64\(\d+<[^>]*\.queue(-wal)?>/.test(line)) unsynced = true;
    else if (/f(data)?sync\(\d+<[^>]*\.queue-wal>/.test(line)) unsynced = false;
    else if (/write\(1<.*"A w-/.test(line)) {
      receipts++;
      expect({ line, unsynced }).toEqual({ line, unsynced: false });
    }
  }
  expect(receipts).toBeGreaterThan(200);
});

/** What a crash of the machine may lose: bytes written since their file was last synced, per file, out of a trace. */
function unsynced(trace: string): Map<string, { readonly from: number; readonly to: number }[]> {
  const extents = new Map<string, { from: number; to: number }[]>();
  for (const line of trace.split('\n')) {
    const sync = /f(?:data)?sync\(\d+<([^>]+)>\) += 0/.exec(line);
    if (sync) extents.delete(sync[1]);
    const write = /pwrite64\(\d+<([^>]+\.queue(?:-wal)?)>.*, (\d+), (\d+)\) += \d+/.exec(line);
    if (!write) continue;
    const [, path, length, from] = write;
    const known = extents.get(path) ?? [];
    known.push({ from: Number(from), to: Number(from) + Number(length) });
    extents.set(path, known);
  }
  return extents;
}

(traceable ? test : test.skip)(
  'what was accepted is still there when everything is lost that was written after the last sync of its file',
  async () => {
    let discarded = 0;
    for (const sync of [30, 47, 70, 110]) {
      const directory = temporaryDirectory();
      const log = join(temporaryDirectory(), 'trace');
      // Killed where it asks for its so-manieth sync, so that what it has written is not synced.
      const filter = [
        '-e',
        'trace=pwrite64,fdatasync,fsync',
        '-e',
        `inject=fdatasync,fsync:signal=SIGKILL:when=${sync}`,
      ];
      const prefix = ['strace', '-f', '-qq', '-y', '-s', '0', ...filter, '-o', log];
      const worker = new Worker(directory, `w${sync}`, sync, 'run', prefix);
      await worker.ended;
      for (const [path, extents] of unsynced(readFileSync(log, 'utf8'))) {
        const bytes = readFileSync(path);
        for (const { from, to } of extents) bytes.fill(0, from, to);
        writeFileSync(path, bytes);
        discarded += extents.length;
      }
      expect(worker.accepted.length).toBeGreaterThan(0);
      account([worker, await drain(directory)]);
    }
    expect(discarded).toBeGreaterThan(4);
  },
  120_000,
);
