import type { Msg } from '@nats-io/transport-node';
import type { CancelTimer, Clock } from '../clock/clock.js';
import type { SteadyTime } from '../clock/steady-time.js';
import { nextTurn } from '../clock/turn.js';
import type { DurableQueue } from '../durable-queue/durable-queue.js';
import type { QueueEntry } from '../durable-queue/queue-entry.js';
import { errorMessage } from '../errors/redact.js';
import { type Flight, InFlightMessages } from './in-flight-messages.js';
import type { RequeueLink } from './link.js';
import { outgoingHeaders } from './outgoing-headers.js';
import { EXPIRY_BATCH, QueueLine } from './queue-line.js';
import { type DeliveryFailure, failureOf, NO_REPLY } from './reply.js';
import { backoffOf, readMeta } from './requeue-meta.js';
import { OWN_QUEUE_PREFIX } from './request-parser.js';
import type { RequeueCounters } from './statistics.js';
import { type LostConnection, Suspects } from './suspects.js';

/** So many are sent in one turn of the event loop at most: replies and new messages get their chance. */
const SEND_BATCH = 256;
const RADIX = 36;
/** A server that takes longer to answer a ping was not there. */
const MAX_SILENCE_MS = 1_000;

export interface EgressParts {
  readonly queue: DurableQueue;
  readonly counters: RequeueCounters;
  readonly clock: Clock;
  readonly time: SteadyTime;
}

export interface EgressLimits {
  readonly ackTimeout: number;
  readonly maxInFlight: number;
}

/**
 * Sends each message at its due time as a request to its original subject, and says to the store what became of it. All
 * requests share one inbox and one timer. An attempt is spent only by what the subscriber did or failed to do: what was
 * under way when the connection broke is sent again as if it had not been sent.
 */
export class Egress {
  private readonly lines = new Map<string, QueueLine>();
  private readonly flights = new InFlightMessages();
  private readonly suspects = new Suspects({
    send: (entry) => this.send(entry, this.line(entry.queue)!, this.parts.time.now()),
    guilty: (entry, message) => this.bury(entry, 'unsendable', { code: 'refused', message }),
  });
  /** Where replies come to. */
  private inbox = '';
  private link: RequeueLink | undefined;
  /** Why nothing can be sent although there is a connection. */
  fault: string | undefined;
  private scheduled = false;
  private stopping = false;
  private cancelWake: CancelTimer | undefined;
  private cancelSweep: CancelTimer | undefined;
  private onEmpty: (() => void) | undefined;

  constructor(
    private readonly parts: EgressParts,
    private readonly limits: EgressLimits,
  ) {}

  get inFlight(): number {
    return this.flights.size;
  }

  inFlightOf(queue: string): number {
    return this.lines.get(queue)?.inFlight ?? 0;
  }

  /** The connection stands: everything that waits is looked at. */
  up(link: RequeueLink): void {
    this.link = link;
    this.fault = undefined;
    this.inbox = link.newInbox();
    link.connection.subscribe(`${this.inbox}.*`, { callback: (error, reply) => this.replied(error, reply) });
    this.renew();
    if (this.suspects.any) void this.trySuspects(link);
  }

  /** The connection is lost: what is under way counts as not sent. */
  down(lost: LostConnection): void {
    this.link = undefined;
    const sent = this.flights.takeSentUntil(Infinity).map(({ entry }) => entry);
    this.suspects.lost(sent, lost);
    this.settled();
  }

  /** Messages came from elsewhere: look at all queues. */
  renew(): void {
    for (const name of this.parts.queue.queues) this.line(name)?.renew();
    this.schedule();
  }

  /** A message is on the disk. */
  stored(entry: QueueEntry): void {
    const now = this.parts.time.now();
    const line = this.line(entry.queue)!;
    if (entry.dueAt <= now && line.isIdle && this.canSend && this.hasRoom(line)) {
      // Nothing waits before it: it need not be read from the disk.
      if (entry.expiresAt !== undefined) line.expect(Infinity, entry.expiresAt, now);
      this.send(entry, line, now);
      return;
    }
    line.expect(entry.dueAt, entry.expiresAt, now);
    this.schedule();
  }

  /** Sends nothing more; resolves when everything under way is answered. */
  stop(): Promise<void> {
    this.stopping = true;
    this.cancelWake?.();
    return new Promise((resolve) => {
      this.onEmpty = resolve;
      this.settled();
    });
  }

  /** What is under way stays in the store, unanswered. */
  close(): void {
    this.stopping = true;
    this.cancelWake?.();
    this.cancelSweep?.();
    for (const line of this.lines.values()) line.close();
    this.flights.takeSentUntil(Infinity);
    this.settled();
  }

  private get canSend(): boolean {
    return this.link !== undefined && !this.stopping && !this.suspects.any;
  }

  private async trySuspects(link: RequeueLink): Promise<void> {
    const goesOn = async (): Promise<boolean> => (await answers(link)) && link === this.link && !this.stopping;
    if (await this.suspects.tryAll(goesOn)) this.renew();
  }

  /** A queue may have as much under way as it leaves free for others: none can stall another, however many are silent. */
  private hasRoom(line: QueueLine): boolean {
    return line.inFlight < Math.max(1, this.limits.maxInFlight - this.flights.size);
  }

  private line(name: string): QueueLine | undefined {
    if (name.startsWith(OWN_QUEUE_PREFIX)) return undefined;
    let line = this.lines.get(name);
    if (!line) this.lines.set(name, (line = new QueueLine(name, this.parts.queue, this.flights)));
    return line;
  }

  private schedule(): void {
    if (this.scheduled || this.stopping) return;
    this.scheduled = true;
    nextTurn(() => {
      this.scheduled = false;
      this.pump();
    });
  }

  private pump(): void {
    if (this.stopping) return;
    const now = this.parts.time.now();
    // A message that has expired may be among those that are tried.
    if (!this.suspects.any) this.expire(now);
    if (this.canSend && this.sendDue(now)) this.schedule();
    else this.arm(now);
  }

  /** Sends one message of each queue in turn. True: there may be more. */
  private sendDue(now: number): boolean {
    let left = SEND_BATCH;
    let lines = [...this.lines.values()];
    while (lines.length > 0) {
      const going: QueueLine[] = [];
      for (const line of lines) {
        if (!this.hasRoom(line)) continue;
        const entry = line.next(now);
        if (!entry) continue;
        this.send(entry, line, now);
        if (--left === 0 || !this.canSend) return this.canSend;
        going.push(line);
      }
      lines = going;
    }
    return false;
  }

  private send(entry: QueueEntry, line: QueueLine, now: number): void {
    const { link } = this;
    if (entry.expiresAt !== undefined && entry.expiresAt <= now) return this.bury(entry, 'expired', EXPIRED);
    const meta = readMeta(entry.meta);
    if (!meta) return this.bury(entry, 'unreadable', UNREADABLE);
    const token = this.flights.add(entry, line, now);
    try {
      const headers = outgoingHeaders(link!.newHeaders(), entry, meta);
      const reply = `${this.inbox}.${token.toString(RADIX)}`;
      link!.connection.publish(meta.subject, entry.body, { reply, headers });
    } catch (error) {
      this.flights.take(token);
      this.notSent(entry, error);
      return;
    }
    this.parts.counters.of(entry.queue).sent++;
    this.armSweep();
  }

  private notSent(entry: QueueEntry, error: unknown): void {
    if ((error as Error).name === 'InvalidArgumentError')
      return this.bury(entry, 'unsendable', { code: 'too-large', message: errorMessage(error) });
    // The connection is closing; its end is told in a moment.
    this.link = undefined;
    this.line(entry.queue)?.renew();
  }

  private replied(error: Error | null, reply: Msg): void {
    if (error) {
      // The server forbids the inbox: without replies nothing can be removed.
      this.link = undefined;
      this.fault = `nothing can be sent: ${errorMessage(error)}`;
      return;
    }
    const { subject } = reply;
    const flight = this.flights.take(parseInt(subject.slice(subject.lastIndexOf('.') + 1), RADIX));
    if (!flight) {
      this.parts.counters.lateReplies++;
      return;
    }
    const failure = failureOf(reply);
    if (failure) this.failed(flight, failure);
    else this.delivered(flight);
    this.schedule();
    this.settled();
  }

  private delivered({ entry }: Flight): void {
    this.parts.counters.of(entry.queue).delivered++;
    this.parts.queue.remove(entry);
  }

  private failed({ entry, line }: Flight, failure: DeliveryFailure): void {
    const counters = this.parts.counters.of(entry.queue);
    if (failure.kind === 'timeout') counters.timedOut++;
    else if (failure.kind === 'no-responders') counters.noResponders++;
    else counters.failed++;
    const attempts = entry.attempts + 1;
    const now = this.parts.time.now();
    const meta = readMeta(entry.meta);
    if (meta?.attempts !== undefined && attempts >= meta.attempts)
      return this.bury({ ...entry, attempts }, 'attempts-exhausted', failure);
    if (entry.expiresAt !== undefined && entry.expiresAt <= now)
      return this.bury({ ...entry, attempts }, 'expired', failure);
    const wait = backoffOf(meta?.backoff)(attempts, undefined) as number;
    const { dueAt, expiresAt } = this.parts.queue.update(entry, {
      dueAt: now + wait,
      attempts,
      returns: entry.returns,
    });
    line.expect(dueAt, expiresAt, now);
  }

  private bury(entry: QueueEntry, reason: string, { code, message }: { code: string; message: string }): void {
    this.parts.counters.of(entry.queue).deadLettered++;
    this.parts.queue.bury(entry, {
      reason,
      errorClass: '',
      errorCode: code,
      errorMessage: message,
      time: this.parts.time.now(),
    });
  }

  private expire(now: number): void {
    for (const line of this.lines.values()) {
      const entries = line.expired(now);
      for (const entry of entries) this.bury(entry, 'expired', EXPIRED);
      if (entries.length >= EXPIRY_BATCH) this.parts.queue.commit();
    }
  }

  /** Wakes when the next message falls due or expires; forgets queues that hold nothing. */
  private arm(now: number): void {
    this.cancelWake?.();
    this.cancelWake = undefined;
    let wakeAt = Infinity;
    for (const [name, line] of this.lines) {
      if (line.inFlight === 0 && this.parts.queue.totals(name).depth === 0) {
        line.close();
        this.lines.delete(name);
      } else if (this.link && this.hasRoom(line)) wakeAt = Math.min(wakeAt, line.wakeAt);
      else wakeAt = Math.min(wakeAt, line.expiryAt);
    }
    if (wakeAt === Infinity) return;
    this.cancelWake = this.parts.clock.after(Math.max(1, wakeAt - now), () => this.pump(), { background: true });
  }

  private armSweep(): void {
    if (this.cancelSweep) return;
    const { oldest } = this.flights;
    if (!oldest) return;
    const wait = Math.max(1, oldest.sentAt + this.limits.ackTimeout - this.parts.time.now());
    this.cancelSweep = this.parts.clock.after(wait, () => void this.sweep(), { background: true });
  }

  /**
   * Sends that were not answered in time have failed; but only when the server is heard afterwards: a reply may wait behind
   * other things, and the silence of a server is not that of a subscriber. After a long silence they have
   * their time once more.
   */
  private async sweep(): Promise<void> {
    const asked = this.parts.time.now();
    const until = asked - this.limits.ackTimeout;
    const { link } = this;
    const { oldest } = this.flights;
    if (oldest && oldest.sentAt <= until && link && (await answers(link)) && link === this.link) {
      const now = this.parts.time.now();
      const silent = now - asked > Math.min(MAX_SILENCE_MS, this.limits.ackTimeout / 2);
      const late = silent ? this.flights.restamp(until, now) : this.flights.takeSentUntil(until);
      for (const flight of late) this.failed(flight, NO_REPLY);
      this.schedule();
      this.settled();
    }
    this.cancelSweep = undefined;
    this.armSweep();
  }

  private settled(): void {
    if (this.flights.size === 0) this.onEmpty?.();
  }
}

const EXPIRED = { code: 'expired', message: 'Its time to live has ended' };
const UNREADABLE = { code: 'unreadable', message: 'Its data are not those of a requeue service' };

async function answers({ connection }: RequeueLink): Promise<boolean> {
  try {
    await connection.flush();
    return true;
  } catch {
    return false;
  }
}
