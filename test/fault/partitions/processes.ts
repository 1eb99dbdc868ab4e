import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { waitFor } from '../../brokers/wait-for.js';
import type { Cell } from '../cell.js';
import type { Trail } from '../checker.js';
import { type Entry, JournalReader } from '../journal.js';
import { seedOf } from '../random.js';
import { within } from '../within.js';
import type { PartitionsWorkerSettings } from './settings.js';

/** A process that shares a partitioned queue, as its test sees it. */
export class PartitionsProcess implements Trail {
  readonly entries: Entry[] = [];
  private readonly child: ChildProcess;
  private readonly journal: JournalReader;
  private isReady = false;
  private output = '';

  private constructor(
    readonly name: string,
    settings: PartitionsWorkerSettings,
    compiled: string,
  ) {
    this.child = fork(join(compiled, 'test/fault/partitions/worker.js'), [JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: ['--no-warnings'],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (text: Buffer) => (this.output = (this.output + text.toString()).slice(-4_000)));
    this.child.on('message', () => (this.isReady = true));
    this.journal = new JournalReader(settings.journal, (entry) => this.entries.push(entry));
  }

  static async start({ cluster, vhost, place }: Cell, name: string): Promise<PartitionsProcess> {
    const settings = {
      urls: cluster.urls(vhost),
      journal: join(place.directory, `${vhost}-${name}.jsonl`),
      seed: seedOf(place.seed, name),
    };
    const started = new PartitionsProcess(name, settings, place.compiled);
    await waitFor(() => started.isReady || !started.alive, `${name} to start`, 60_000);
    if (!started.isReady) throw new Error(`${name} did not start: ${started.output}`);
    return started;
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  read(): this {
    this.journal.read();
    return this;
  }

  count(kind: Entry['e']): number {
    return this.read().entries.filter(({ e }) => e === kind).length;
  }

  /** The node it is connected to, as `address:port`. */
  get host(): string | undefined {
    const hosts = this.read().entries.flatMap((entry) =>
      entry.e === 'event' && entry.name === 'connected' ? [entry.detail] : [],
    );
    return hosts.at(-1);
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.alive) {
      const gone = once(this.child, 'exit');
      this.child.kill(signal);
      await within(60_000, `${this.name} to end`, gone);
    }
    this.read();
  }
}
