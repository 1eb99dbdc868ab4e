import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

/** Where a process is to end by itself: the nth time that it comes to this point. */
export interface Fatal {
  readonly point: string;
  readonly nth: number;
}

/** What every process of a test is told. */
export interface ProcessSettings {
  readonly store: object;
  readonly servers: string;
  /** When the faster clock of all of them begins, in milliseconds since the epoch. */
  readonly base: number;
  readonly speed: number;
}

/** What a process has said: the words, and when by the machine's clock, in milliseconds. */
export interface Told {
  readonly what: string;
  readonly words: readonly string[];
  readonly at: number;
}

const running = new Set<ChildProcess>();

/** A worker process. */
export class Process {
  readonly told: Told[] = [];
  /** Resolves with the signal that ended it. */
  readonly ended: Promise<NodeJS.Signals | null>;
  private readonly child: ChildProcess;
  private rest = '';

  constructor(worker: string, settings: ProcessSettings, fatal?: Fatal) {
    const file = join(__dirname, `${worker}-worker.mjs`);
    const argument = JSON.stringify({ ...settings, fatal });
    this.child = spawn(process.execPath, ['--no-warnings', file, argument], { stdio: ['pipe', 'pipe', 'pipe'] });
    running.add(this.child);
    let errors = '';
    this.child.stdin!.on('error', () => undefined);
    this.child.stderr!.on('data', (text: Buffer) => (errors += text.toString()));
    this.child.stdout!.on('data', (text: Buffer) => this.read(text.toString()));
    this.ended = new Promise((resolve, reject) =>
      this.child.once('close', (code, signal) => {
        running.delete(this.child);
        if (code === 0 || signal === 'SIGKILL') resolve(signal);
        else reject(new Error(`A ${worker} process (${JSON.stringify(fatal)}) ended with ${code}: ${errors}`));
      }),
    );
    this.ended.catch(() => undefined);
  }

  /** Ends it as a shutdown does. */
  async stop(): Promise<void> {
    this.child.stdin!.end();
    await this.ended;
  }

  private read(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    for (const line of lines) {
      const [what, ...words] = line.split(' ');
      const at = Number(words.pop());
      this.told.push({ what, words, at });
    }
  }
}

export function killProcesses(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** Processes, so many at a time, each ended at its point. All that they have said is theirs afterwards. */
export async function kills(
  worker: string,
  settings: ProcessSettings,
  fatals: readonly Fatal[],
  atATime: number,
  processes: Process[],
): Promise<void> {
  const line = async (offset: number): Promise<void> => {
    for (let n = offset; n < fatals.length; n += atATime) {
      const one = new Process(worker, settings, fatals[n]);
      processes.push(one);
      if ((await one.ended) !== 'SIGKILL') throw new Error(`it did not come to ${JSON.stringify(fatals[n])}`);
    }
  };
  await Promise.all(Array.from({ length: atATime }, (_, offset) => line(offset)));
}
