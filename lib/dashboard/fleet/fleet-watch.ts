import { randomUUID } from 'node:crypto';
import { answered } from '../../clock/answered.js';
import type { Clock } from '../../clock/clock.js';
import { ConflictError, Refusal } from '../../web/refusal.js';
import type { FleetAction, FleetMember } from './fleet-member.js';
import { isReport, type ProcessReport } from './process-report.js';
import type { Opened } from './seal.js';

const ASK_MS = 5_000;
/** A process that has not answered so often in a row is gone. */
const MOST_MISSED = 3;
const MOST_PROCESSES = 200;
const COMMAND_MS = 5_000;
const MOST_COMMANDS = 100;

interface Known {
  readonly report: ProcessReport;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The number of the last ask that it has answered. */
  answered: number;
}

/** The processes of the fleet, asked while somebody looks. */
export class FleetWatch {
  private readonly asker = randomUUID();
  private readonly processes = new Map<string, Known>();
  private readonly commands = new Map<string, (done: Opened) => void>();
  /** There are more than are shown. */
  private more = false;
  private asked = 0;
  private askedAt = -Infinity;
  private asking = false;
  private problem: string | undefined;
  /** Ends it. */
  readonly close: () => void;

  constructor(
    private readonly member: FleetMember,
    private readonly clock: Clock,
  ) {
    this.close = member.listen((content) => this.heard(content));
  }

  /** Somebody looks: all are asked, every 5 s. */
  watch(): void {
    const now = this.clock.monotonic();
    // A broker that blocks its publishers answers later.
    if (this.asking || now - this.askedAt < ASK_MS) return;
    // Nobody has looked for long.
    if (now - this.askedAt > (MOST_MISSED + 1) * ASK_MS) this.processes.clear();
    for (const [id, { answered }] of this.processes)
      if (this.asked - answered >= MOST_MISSED) this.processes.delete(id);
    this.askedAt = now;
    this.more = false;
    void this.ask(++this.asked);
  }

  /** What a page shows. */
  told(): object {
    const { id, refused, problem = this.problem } = this.member;
    const processes = [...this.processes.values()].map(({ report: { queue: _, ...report }, at, answered }) => ({
      ...report,
      answeredAt: Math.floor(at / 1_000) * 1_000,
      missed: Math.max(0, this.asked - 1 - answered),
    }));
    const nameOf = ({ service, host, startedAt }: (typeof processes)[number]): string =>
      [service, host, startedAt].join('\n');
    processes.sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1));
    return { own: id, problem, refused, more: this.more, processes };
  }

  /** @returns the name of the process. @throws Refusal, ConflictError where the process does not do it */
  async command(id: string, action: FleetAction, name: string, operator: string): Promise<string> {
    const known = this.processes.get(id);
    if (!known) throw new Refusal(404, 'There is no such process any more');
    if (this.commands.size >= MOST_COMMANDS) throw new Refusal(503, 'Too many commands wait for their answer');
    const command = randomUUID();
    const { report, queue: answerTo } = this.member;
    const from = `${report.host}:${report.pid}`;
    const done = new Promise<Opened>((resolve) => this.commands.set(command, resolve));
    try {
      const content = { command, to: id, action, name, operator, from, answerTo };
      const reached = this.member.send({ kind: 'command', ...content }, known.report.queue).then((sent) => {
        if (sent.status === 'confirmed') return done;
        throw new Refusal(503, `The process was not reached: ${sent.error.message}`);
      });
      const { error } = await answered(reached, { clock: this.clock, ms: COMMAND_MS }).catch((thrown: unknown) => {
        if (thrown instanceof Refusal) throw thrown;
        throw new Refusal(504, 'The process has not answered within 5 s: it may do it yet');
      });
      if (typeof error === 'string') throw new ConflictError(error);
    } finally {
      this.commands.delete(command);
    }
    return `${known.report.host}:${known.report.pid}`;
  }

  private async ask(ask: number): Promise<void> {
    const { member } = this;
    this.asking = true;
    const sent = await member.send({ kind: 'ask', ...{ ask, asker: this.asker, answerTo: member.queue } });
    this.asking = false;
    this.problem = sent.status === 'confirmed' ? undefined : `Nobody could be asked: ${sent.error.message}`;
    // It is not the others who are away.
    if (this.problem !== undefined) for (const known of this.processes.values()) known.answered++;
  }

  private heard({ kind, ask, asker, command, report, ...rest }: Opened): void {
    if (!isReport(report)) return;
    if (kind === 'state' && asker === this.asker && typeof ask === 'number') this.keep(report, ask);
    if (kind !== 'done' || typeof command !== 'string') return;
    this.keep(report, this.processes.get(report.id)?.answered ?? this.asked);
    this.commands.get(command)?.({ kind, ...rest });
  }

  private keep(report: ProcessReport, answered: number): void {
    const known = this.processes.get(report.id);
    if (!known && this.processes.size >= MOST_PROCESSES) return void (this.more = true);
    this.processes.set(report.id, { report, at: this.clock.now(), answered: Math.max(answered, known?.answered ?? 0) });
  }
}
