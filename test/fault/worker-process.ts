import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../brokers/wait-for.js';
import { type Entry, JournalReader, now } from './journal.js';
import type { Trail } from './checker.js';
import { within } from './within.js';
import type { Command, WorkerSettings, WorkerStatus } from './worker/settings.js';

const READY_WITHIN_MS = 30_000;
const ANSWERED_WITHIN_MS = 20_000;
const ENDED_WITHIN_MS = 30_000;

type Answer = { ready: true } | { ready?: undefined; number: number; result?: unknown; error?: string };

/** A publisher or consumer in a process of its own, as the runner sees it: its commands and its journal. */
export class WorkerProcess implements Trail {
  readonly entries: Entry[] = [];
  private readonly happened: (Entry & { e: 'event' })[] = [];
  killedAt?: number;
  private readonly child: ChildProcess;
  private readonly journal: JournalReader;
  private readonly pending = new Map<number, (answer: Answer) => void>();
  private readonly counts = new Map<string, number>();
  private readonly open = new Set<string>();
  private commands = 0;
  private isReady = false;
  private output = '';

  /** `compiled`: the folder that compile.mjs made. */
  constructor(
    readonly settings: WorkerSettings,
    compiled: string,
    execArgv: readonly string[] = [],
  ) {
    const program = join(compiled, 'test/fault/worker/worker.js');
    this.child = fork(program, [JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: ['--no-warnings', ...execArgv],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) stream?.on('data', (text: Buffer) => this.keep(text));
    this.child.on('message', (answer: Answer) => this.answered(answer));
    this.child.on('exit', () => this.exited());
    this.journal = new JournalReader(settings.journal, (entry) => this.take(entry));
  }

  get name(): string {
    return this.settings.name;
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** What it printed, for a test that fails. */
  get printed(): string {
    return this.output;
  }

  /** The application listens. */
  async ready(): Promise<this> {
    await waitFor(() => this.isReady || !this.alive, `${this.name} to start`, READY_WITHIN_MS);
    if (!this.isReady) throw new Error(`${this.name} did not start: ${this.output}`);
    return this;
  }

  /** Takes what the journal says by now. */
  read(): this {
    this.journal.read();
    return this;
  }

  /** Entries of a kind, or events of a name, so far. */
  count(kind: Entry['e'] | `event:${string}`): number {
    return this.read().counts.get(kind) ?? 0;
  }

  /** Handlers that run now. */
  get handling(): number {
    this.read();
    return this.open.size;
  }

  /** The events of a name since a time. */
  events(name: string, since = 0): (Entry & { e: 'event' })[] {
    return this.read().happened.filter((event) => event.name === name && event.t >= since);
  }

  async tell<T = void>(command: Command): Promise<T> {
    const number = ++this.commands;
    const answered = new Promise<Answer>((resolve) => this.pending.set(number, resolve));
    this.child.send({ number, command });
    const answer = await within(ANSWERED_WITHIN_MS, `${this.name} to answer «${command.do}»`, answered);
    if (answer.ready || answer.error !== undefined) {
      throw new Error(`${this.name}, ${command.do}: ${answer.ready ? 'no answer' : answer.error}`);
    }
    return answer.result as T;
  }

  status(): Promise<WorkerStatus> {
    return this.tell({ do: 'status' });
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.killedAt ??= now();
    if (!this.alive) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
    this.killedAt = now();
    this.read();
  }

  /** Resolves when the process killed itself. */
  async died(within: number): Promise<void> {
    await waitFor(() => !this.alive, `${this.name} to die`, within);
    this.killedAt = now();
    this.read();
  }

  /** SIGTERM. */
  terminate(): void {
    this.child.kill('SIGTERM');
  }

  /** Resolves when a terminated process has ended. */
  async ended(): Promise<void> {
    await waitFor(() => !this.alive, `${this.name} to end after SIGTERM`, ENDED_WITHIN_MS);
    this.read();
  }

  async close(): Promise<void> {
    if (!this.alive) return;
    this.terminate();
    await this.ended();
  }

  private take(entry: Entry): void {
    this.entries.push(entry);
    if (entry.e === 'event') this.happened.push(entry);
    const kind = entry.e === 'event' ? `event:${entry.name}` : entry.e;
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    if (entry.e === 'start') this.open.add(entry.id);
    if (entry.e === 'end' || entry.e === 'fail') this.open.delete(entry.id);
  }

  private answered(answer: Answer): void {
    if (answer.ready) {
      this.isReady = true;
      return;
    }
    this.pending.get(answer.number)?.(answer);
    this.pending.delete(answer.number);
  }

  private exited(): void {
    for (const [number, resolve] of this.pending) resolve({ number, error: `the process has ended ${this.output}` });
    this.pending.clear();
  }

  private keep(text: Buffer): void {
    if (process.env.FAULT_LOG) appendFileSync(process.env.FAULT_LOG, `${this.name}: ${text.toString()}`);
    this.output = (this.output + text.toString()).slice(-4_000);
  }
}
