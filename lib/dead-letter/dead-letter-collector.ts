import { createHash, randomUUID } from 'node:crypto';
import type { CancelTimer, Clock } from '../clock/clock.js';
import { stringifyTagged } from '../durable-queue/tagged-json.js';
import { MessagingError } from '../errors/messaging-error.js';
import { errorMessage } from '../errors/redact.js';
import { thrownValue } from '../errors/thrown-value.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import { header } from '../message/headers.js';
import { nameOf } from '../message/message-name.js';
import type { Delivery } from '../transport/delivery.js';
import type { PublishResult } from '../transport/outgoing.js';
import { publishAll } from '../transport/publish-all.js';
import type { Transport } from '../transport/transport.js';
import type { ArchivedEntry, DeadLetterEntry, DeadLetterArchive } from './dead-letter-archive.js';
import { DeadLetterArchiveError } from './dead-letter-archive-error.js';
import { DeadLetterIntake } from './dead-letter-intake.js';
import { readDeadLetter } from './dead-letter.js';
import { redrivenCopy } from './redriven-copy.js';

export interface ArchiverParts {
  readonly transport: Transport;
  readonly archive: DeadLetterArchive;
  readonly clock: Clock;
  readonly events: MessagingEvents;
  readonly log: Log;
  /** The dead-letter queues that are emptied into the archive. */
  readonly queues: () => Iterable<string>;
}

/** What one transaction of the archive takes at most. */
const BATCH = 25;
const BATCH_BYTES = 4 * 2 ** 20;
/** Renewed while a broker is slow to answer; what a process that died had claimed waits for its end. */
const LEASE_MS = 30_000;
/** So soon after a dead letter was written, or allowed to be tried again. */
const SOON_MS = 1_000;

/**
 * Empties dead-letter queues into an archive, and sends back what may be tried again. A dead letter is acked after the
 * archive has committed it, and leaves the archive after the broker has confirmed its copy.
 */
export class DeadLetterCollector {
  private cancelTimer: CancelTimer | undefined;
  private running: Promise<void> | undefined;
  private stopped = true;
  private hurried = false;
  private failing = false;
  private stopListening: () => void = () => undefined;
  private readonly intake: DeadLetterIntake;

  constructor(
    private readonly parts: ArchiverParts,
    private readonly intervalMs: number,
  ) {
    this.intake = new DeadLetterIntake(parts.transport, BATCH, () => this.soon());
  }

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.stopListening = this.parts.events.on('dead-lettered', () => this.soon());
    this.plan(0);
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.stopListening();
    this.cancelTimer?.();
    await this.running;
    await this.intake.stop();
  }

  /** Both steps, now. Does not reject. */
  run(): Promise<void> {
    this.cancelTimer?.();
    this.hurried = false;
    this.running ??= this.pass().finally(() => {
      this.running = undefined;
      if (!this.stopped) this.plan(this.hurried ? SOON_MS : this.intervalMs);
    });
    return this.running;
  }

  /** There is something to do before the interval is over. */
  soon(): void {
    if (this.stopped || this.hurried) return;
    this.hurried = true;
    // A pass under way plans the next one.
    if (!this.running) this.plan(SOON_MS);
  }

  private plan(delayMs: number): void {
    this.cancelTimer?.();
    this.cancelTimer = this.parts.clock.after(delayMs, () => void this.run(), { background: true });
  }

  /** What cannot be done now stays where it is, until the next time. */
  private async pass(): Promise<void> {
    const { queues, events, log } = this.parts;
    try {
      for (const queue of queues()) await this.empty(queue);
      await this.retry();
      this.failing = false;
    } catch (thrown) {
      const error = thrownValue(thrown);
      const failure =
        error instanceof MessagingError ? error : new DeadLetterArchiveError(errorMessage(error), { cause: error });
      if (!this.failing) log.error(`Dead letters could not be archived, it is tried again: ${failure.message}`);
      this.failing = true;
      if (events.has('store-error')) events.emit('store-error', { operation: 'archive', error: failure });
    }
  }

  private async empty(queue: string): Promise<void> {
    const { queues } = this.parts.transport;
    if (!queues) return this.keepConsumed(queue);
    if (!(await queues.depth(queue))) return;
    const browser = await queues.browse(queue);
    try {
      let batch: Delivery[] = [];
      let bytes = 0;
      for (let next = await browser.next(); next && !this.stopped; next = await browser.next()) {
        batch.push(next);
        bytes += next.message.body.length;
        if (batch.length < BATCH && bytes < BATCH_BYTES) continue;
        await this.keep(queue, batch);
        batch = [];
        bytes = 0;
      }
      if (batch.length > 0) await this.keep(queue, batch);
    } finally {
      await browser.close();
    }
  }

  private async keep(queue: string, batch: readonly Delivery[]): Promise<void> {
    await this.add(queue, batch);
    for (const delivery of batch) delivery.ack();
  }

  private async keepConsumed(queue: string): Promise<void> {
    const batch = await this.intake.held(queue);
    if (batch.length === 0) return;
    await this.add(queue, batch);
    this.intake.kept(queue, batch);
  }

  private async add(queue: string, batch: readonly Delivery[]): Promise<void> {
    await this.parts.archive.add(batch.map(({ message }) => archiveEntry(queue, message)));
  }

  private async retry(): Promise<void> {
    const { archive } = this.parts;
    for (let after = 0; !this.stopped;) {
      const due = await archive.page({ due: true }, after, BATCH);
      if (due.length === 0) return;
      after = due.at(-1)!.seq;
      await this.send(due);
    }
  }

  private async send(due: readonly ArchivedEntry[]): Promise<void> {
    const { archive } = this.parts;
    const token = randomUUID();
    const keys = await archive.claim(due.map(keyOf), token, LEASE_MS);
    if (keys.length === 0) return;
    const ours = new Set(keys);
    const claimed = due.filter(({ key }) => ours.has(key));
    const endLease = this.keepLease(keys, token);
    const results = await this.publish(claimed).finally(endLease);
    const isSent = (_: unknown, at: number): boolean => results[at].status === 'confirmed';
    await archive.delete(claimed.filter(isSent).map(keyOf), token);
    await this.putOff(claimed, results, token);
  }

  /** A broker that blocks answers late. A lease that cannot be renewed may be another's soon, and its message comes twice. */
  private keepLease(keys: readonly string[], token: string): CancelTimer {
    const { archive, clock } = this.parts;
    let cancel: CancelTimer;
    const renew = (): void => {
      cancel = clock.after(LEASE_MS / 3, renew, { background: true });
      archive.claim(keys, token, LEASE_MS).catch(() => undefined);
    };
    cancel = clock.after(LEASE_MS / 3, renew, { background: true });
    return () => cancel();
  }

  private async putOff(
    claimed: readonly ArchivedEntry[],
    results: readonly PublishResult[],
    token: string,
  ): Promise<void> {
    const { archive, events, log } = this.parts;
    const unsent = claimed.flatMap((entry, at) => {
      const result = results[at];
      return result.status === 'confirmed' ? [] : [{ ...entry, error: result.error }];
    });
    if (unsent.length === 0) return;
    await archive.release(unsent.map(keyOf), token, this.intervalMs);
    for (const { message, error } of unsent) {
      log.warn(`Of the archive ${nameOf(message)} could not be sent, it is tried again: ${error.message}`);
      if (events.has('store-error')) events.emit('store-error', { operation: 'archive-retry', error });
    }
  }

  private publish(entries: readonly ArchivedEntry[]): Promise<PublishResult[]> {
    const { transport, clock } = this.parts;
    const copies = entries.map(({ deadLetterQueue, message }) =>
      redrivenCopy(readDeadLetter(message, deadLetterQueue), message, 1, clock.now()),
    );
    return publishAll(transport, copies);
  }
}

const keyOf = ({ key }: DeadLetterEntry): string => key;

/**
 * The key is what the dead letter is, whole: brought twice, it is kept once. One that nothing distinguishes from another
 * (a foreign message without id or time) gets a key of its own: kept twice rather than lost.
 */
export function archiveEntry(deadLetterQueue: string, message: Delivery['message']): DeadLetterEntry {
  const isTold = message.id !== '' && header.originTime in message.headers;
  const { body, ...meta } = message;
  const key = isTold
    ? createHash('sha256')
        .update(`${deadLetterQueue}\n${stringifyTagged(meta)}\n`)
        .update(body)
        .digest('base64url')
    : randomUUID();
  return { key, deadLetterQueue, message };
}
