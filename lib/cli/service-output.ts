import type { Clock } from '../clock/clock.js';
import { printable, printableJson } from '../errors/printable.js';
import type { Log } from '../events/log.js';
import type { RequeueHealth } from '../requeue/requeue-report.js';
import type { Console } from './command.js';

/** What a running service writes: log lines, and its state. */
export interface ServiceOutput extends Log {
  state(health: RequeueHealth): void;
  /** Leaves the terminal in order. */
  end(): void;
}

/** On a terminal one line that is refreshed, with log lines above it; otherwise JSON, one object per line. */
export function serviceOutput({ stdout }: Console, clock: Clock): ServiceOutput {
  return stdout.isTTY ? new TerminalOutput(stdout, clock) : new JsonOutput(stdout, clock);
}

const ERASE_LINE = '\r\u001b[2K';

class TerminalOutput implements ServiceOutput {
  private line = '';

  constructor(
    private readonly stdout: Console['stdout'],
    private readonly clock: Clock,
  ) {}

  log = (message: string): void => this.above(message);
  warn = (message: string): void => this.above(`warning: ${message}`);
  error = (message: string): void => this.above(`error: ${message}`);
  debug = (message: string): void => this.above(message);

  state(health: RequeueHealth): void {
    const { status, connection, store, inFlight, queues } = health;
    const delivered = queues.reduce((sum, queue) => sum + queue.delivered, 0);
    const text =
      `${status} · ${connection.state} ${connection.server} · ${store.depth} waiting · ${inFlight} in flight · ` +
      `${delivered} delivered · ${store.deadLetters} dead letters`;
    this.line = text.slice(0, (this.stdout.columns || 120) - 1);
    this.stdout.write(ERASE_LINE + this.line);
  }

  end(): void {
    this.stdout.write('\n');
    this.line = '';
  }

  private above(message: string): void {
    const time = new Date(this.clock.now()).toISOString().slice(11, 19);
    this.stdout.write(`${ERASE_LINE}${time} ${printable(message)}\n${this.line}`);
  }
}

/** The state is told when it changes, and this often otherwise. */
const STATE_INTERVAL_MS = 60_000;

class JsonOutput implements ServiceOutput {
  private lastStatus = '';
  private lastState = -Infinity;

  constructor(
    private readonly stdout: Console['stdout'],
    private readonly clock: Clock,
  ) {}

  log = (message: string): void => this.write({ level: 'info', message });
  warn = (message: string): void => this.write({ level: 'warn', message });
  error = (message: string): void => this.write({ level: 'error', message });
  debug = (message: string): void => this.write({ level: 'debug', message });

  state({ status, connection, store, inFlight }: RequeueHealth): void {
    const now = this.clock.monotonic();
    if (status === this.lastStatus && now - this.lastState < STATE_INTERVAL_MS) return;
    this.lastStatus = status;
    this.lastState = now;
    this.write({ level: 'info', message: 'state', status, connection, store, inFlight });
  }

  end(): void {
    this.lastStatus = '';
  }

  private write(record: object): void {
    this.stdout.write(`${printableJson({ time: new Date(this.clock.now()).toISOString(), ...record })}\n`);
  }
}
