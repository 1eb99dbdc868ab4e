import type { CancelTimer, Clock } from '../clock/clock.js';
import { MessageExpiredError } from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { Publication } from '../publisher/publication.js';
import type { Receipt, Settlement } from '../publisher/receipt.js';
import { messageOf, publicationOf } from './kept-message.js';
import type { Pauses } from './pauses.js';
import { RecordReceipt } from './record-receipt.js';
import type { TransactionCheckers } from './transaction-checkers.js';
import type { NewTransactionRecord, TransactionRecord, TransactionRecordStore } from './transaction-record.js';

export interface SettlingParts {
  readonly store: TransactionRecordStore;
  readonly owner: string;
  readonly checkers: TransactionCheckers;
  readonly clock: Clock;
  readonly events: MessagingEvents;
  readonly log: Log;
  /** The most unanswered checks of one transaction. */
  readonly checks: number;
  readonly pauses: Pauses;
  /** The local transaction of this record runs in this process. */
  readonly isRunning: (id: string) => boolean;
  /** Hands a message to the broker, or to the publisher retry queue. */
  publish(publication: Publication): Promise<Receipt>;
  /** The store failed, or works (undefined). */
  storeFailed(operation: string, error: unknown): void;
}

/** A record that this process has to bring to its end. */
interface Task {
  readonly id: string;
  /** Failures since the last thing that went well. */
  failures: number;
  cancelTimer: CancelTimer | undefined;
  /** It is known to have committed. */
  committed?: NewTransactionRecord;
  /** The store has that. */
  written: boolean;
  /** Its message is on its way. */
  sending: boolean;
  /** Its message has arrived, or is of no use any more: only the record is left. */
  settlement?: Settlement;
  readonly settled: Promise<Settlement>;
  resolve(settlement: Settlement): void;
}

/** Checks that run at a time. */
const TOGETHER = 10;

/** The records that this process brings to their end: asked about, sent, removed; each again, with growing pauses, until that is done. */
export class SettlingRecords {
  private readonly tasks = new Map<string, Task>();
  private readonly line: Task[] = [];
  /** What was sent because its commit was seen, while its local transaction goes on. */
  private readonly early = new Map<string, Settlement>();
  private active = 0;
  private stopped = false;
  private closed = false;
  private idle: (() => void)[] = [];

  constructor(private readonly parts: SettlingParts) {}

  get size(): number {
    return this.tasks.size;
  }

  /** Known to have committed, and not sent though that was tried. */
  get unsent(): number {
    let unsent = 0;
    for (const { committed, failures, settlement } of this.tasks.values())
      if (committed && !settlement && failures > 0) unsent++;
    return unsent;
  }

  has(id: string): boolean {
    return this.tasks.has(id);
  }

  /** Whether the message is kept in a record that is not removed yet. */
  keeps(messageId: string): boolean {
    for (const { committed } of this.tasks.values())
      if (committed && messageOf(committed).id === messageId) return true;
    return false;
  }

  /** It is seen to after so many milliseconds, unless it is already. */
  add(id: string, waitMs: number): void {
    if (!this.tasks.has(id)) this.wait(this.taskOf(id), waitMs);
  }

  /** Its local transaction has committed. What is told is how far its message has come. */
  async send(record: NewTransactionRecord, publication: Publication): Promise<Receipt> {
    const early = this.early.get(record.id);
    if (early) {
      this.early.delete(record.id);
      return new RecordReceipt(publication.message.id, Promise.resolve(early));
    }
    const task = this.taskOf(record.id);
    task.committed ??= record;
    if (task.sending || task.settlement) return new RecordReceipt(publication.message.id, task.settled);
    task.cancelTimer?.();
    return this.deliver(task, record, publication);
  }

  /** Its commit was seen, and its message sent, while its local transaction ran. */
  wasSent(id: string): boolean {
    return this.early.has(id);
  }

  /** The message is on its way, or waits in memory; should that fail, the record has it sent again. */
  isSending(id: string): boolean {
    return this.tasks.get(id)?.sending === true;
  }

  /** No check begins any more. */
  stop(): void {
    this.stopped = true;
  }

  /** Resolves when nothing is under way; what waits for its time goes on waiting. */
  async drained(): Promise<void> {
    while (this.active > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  /** What was not answered yet counts no more. @returns how much that is */
  close(): number {
    this.stopped = this.closed = true;
    for (const task of this.tasks.values()) task.cancelTimer?.();
    return this.active;
  }

  private taskOf(id: string): Task {
    const known = this.tasks.get(id);
    if (known) return known;
    let resolve!: (settlement: Settlement) => void;
    const settled = new Promise<Settlement>((settle) => (resolve = settle));
    const task: Task = { id, failures: 0, cancelTimer: undefined, written: false, sending: false, settled, resolve };
    this.tasks.set(id, task);
    return task;
  }

  private wait(task: Task, ms: number): void {
    if (this.closed) return;
    task.cancelTimer?.();
    task.cancelTimer = this.parts.clock.after(ms, () => this.enter(task), { background: true });
  }

  private enter(task: Task): void {
    if (this.stopped && !task.settlement) return;
    if (this.active >= TOGETHER) this.line.push(task);
    else void this.during(() => this.step(task));
  }

  /** One step of a task, and then those in line. */
  private async during<T>(work: () => Promise<T>): Promise<T> {
    this.active++;
    try {
      return await work();
    } finally {
      this.active--;
      const next = this.line.shift();
      if (next) this.enter(next);
      if (this.active === 0) for (const resolve of this.idle.splice(0)) resolve();
    }
  }

  private async step(task: Task): Promise<void> {
    try {
      if (task.settlement) return await this.remove(task);
      if (task.committed) return void (await this.deliver(task, task.committed));
      const found = await this.parts.store.find(task.id);
      this.parts.storeFailed('find', undefined);
      if (!this.isOpen(task)) return;
      // It is gone, or somebody else sees to it.
      if (!found || found.owner !== this.parts.owner || found.state === 'parked') return this.end(task);
      if (found.state === 'committed') {
        task.written = true;
        return void (await this.deliver(task, found));
      }
      await this.check(task, found);
    } catch (error) {
      this.parts.storeFailed('check', error);
      this.again(task);
    }
  }

  private async check(task: Task, record: TransactionRecord): Promise<void> {
    const { checkers, store, owner, isRunning } = this.parts;
    const answer = await checkers.ask(record);
    if (!this.isOpen(task)) return;
    const checks = record.checks + 1;
    if (answer.outcome === 'committed') {
      this.tell(record, 'committed', checks);
      return void (await this.deliver(task, record));
    }
    if (answer.outcome === 'rolled-back' && !isRunning(task.id)) {
      if (await store.remove(task.id, owner)) this.tell(record, 'rolled-back', checks);
      return this.end(task);
    }
    const reason = answer.outcome === 'unknown' ? answer.reason : 'it has not committed, and still runs in its process';
    const state = checks >= this.parts.checks ? 'parked' : 'unknown';
    if (await store.note(task.id, owner, { state, checks, reason })) this.tell(record, state, checks, reason);
    if (!this.isOpen(task)) return;
    if (state === 'parked') this.end(task);
    else this.wait(task, this.parts.pauses.after(checks));
  }

  /** False: meanwhile its local transaction has ended by itself, or this process has left it to others. */
  private isOpen(task: Task): boolean {
    return !this.closed && this.tasks.get(task.id) === task && !task.sending && !task.settlement;
  }

  /** Hands its message over, and removes the record once the message is safe without it. It never rejects. */
  private deliver(task: Task, record: NewTransactionRecord, publication = publicationOf(record)): Promise<Receipt> {
    task.committed = record;
    task.sending = true;
    return this.during(async () => {
      const written = this.writeCommit(task, record);
      const { id } = publication.message;
      try {
        const receipt = await this.parts.publish(publication);
        if (receipt.stored === 'memory')
          void receipt.settled.then((settlement) => this.arrived(task, written, settlement));
        else await this.arrived(task, written, { id, outcome: 'confirmed' });
        return receipt.stored === 'memory' ? new RecordReceipt(id, task.settled) : receipt;
      } catch (error) {
        await this.arrived(task, written, { id, outcome: 'rejected', error: error as never });
        return new RecordReceipt(id, task.settled);
      }
    });
  }

  /** Where this fails the commit is known by this process alone; should it die, the transaction is asked about. */
  private async writeCommit(task: Task, record: NewTransactionRecord): Promise<void> {
    if (task.written) return;
    try {
      await this.parts.store.commit(record, this.parts.owner);
      task.written = true;
      this.parts.storeFailed('commit', undefined);
    } catch (error) {
      this.parts.storeFailed('commit', error);
    }
  }

  private async arrived(task: Task, written: Promise<void>, settlement: Settlement): Promise<void> {
    // A record that is written after its removal would be sent again.
    await written;
    task.sending = false;
    if (settlement.outcome === 'rejected' && !(settlement.error instanceof MessageExpiredError)) {
      const { id, route } = task.committed!;
      if (task.failures === 0)
        this.parts.log.error(
          `The message of transaction ${id} (${route}), which has committed, could not be sent; it is tried again until it is: ${errorMessage(settlement.error)}`,
        );
      return this.again(task);
    }
    task.settlement = settlement;
    task.failures = 0;
    void this.during(() => this.step(task));
  }

  private async remove(task: Task): Promise<void> {
    await this.parts.store.remove(task.id, this.parts.owner);
    this.parts.storeFailed('remove', undefined);
    task.resolve(task.settlement!);
    if (this.parts.isRunning(task.id)) this.early.set(task.id, task.settlement!);
    this.end(task);
  }

  private again(task: Task): void {
    if (this.tasks.has(task.id)) this.wait(task, this.parts.pauses.after(++task.failures));
  }

  private end(task: Task): void {
    task.cancelTimer?.();
    this.tasks.delete(task.id);
  }

  private tell(
    { id, route }: TransactionRecord,
    outcome: 'committed' | 'rolled-back' | 'unknown' | 'parked',
    checks: number,
    reason?: string,
  ): void {
    const { events, log } = this.parts;
    if (outcome === 'parked')
      log.error(
        `Nobody can say what became of transaction ${id} (${route}), asked ${checks} times: it is parked until somebody does. ${String(reason)}`,
      );
    else if (outcome === 'unknown' && checks === 1)
      log.warn(`It is not known what became of transaction ${id} (${route}); it is asked again: ${String(reason)}`);
    if (events.has('transaction-checked'))
      events.emit('transaction-checked', { id, route, outcome, checks, ...(reason !== undefined && { reason }) });
  }
}
