import type { CancelTimer } from '../../clock/clock.js';
import { errorMessage } from '../../errors/redact.js';
import { nameOf } from '../../message/message-name.js';
import type { WireMessage } from '../../message/message.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import { partitionQueue, type Topology } from '../../transport/topology.js';
import { ConsumerReports } from '../consumer-reports.js';
import { copyToPartition } from '../settlement/copy.js';
import type { ConsumerState } from '../gate.js';
import { givenUp, giveUp, whoTakes } from '../settlement/given-up.js';
import { Intake } from '../intake.js';
import { partitionOf } from '../schedule/key-hash.js';
import type { QueueReport } from '../queue-consumer.js';
import type { SettlementEnvironment } from '../settlement/settlement.js';
import { until } from '../../clock/sleep.js';

/** Messages on their way to partitions at a time. */
const PREFETCH = 100;
/** Waiting times before what could not be moved is tried again, in milliseconds. */
const RETRY_INITIAL_MS = 500;
const RETRY_MAX_MS = 2_000;

export interface DistributorOptions {
  /** With `partitions`; it has one active consumer over all processes. */
  readonly topology: Topology;
  keyOf(message: WireMessage): string | undefined;
}

/** A message on its way to a partition. */
interface Move extends Outgoing {
  readonly delivery: Delivery;
  readonly key: string | undefined;
  /** The broker took the delivery back, and hands it out again. */
  lost: boolean;
}

/**
 * Moves what comes to the subscription's queue to the partition of its key, one message of a key at a time: a copy that
 * fails must not be overtaken. The original is acked after its copy is confirmed, so whoever takes over begins with the
 * first that was not: a crash repeats messages, in order, and loses none.
 */
export class Distributor {
  private readonly intake: Intake;
  private readonly moves = new Map<Delivery, Move>();
  /** By key: the first is under way, the others wait for it. */
  private readonly lines = new Map<string, Move[]>();
  private batch: Move[] = [];
  /** Moves that were sent and have no result yet. */
  private underWay = 0;
  /** Moves that failed and were not confirmed since, and of them those that wait for the next time. */
  private readonly troubled = new Set<Move>();
  private failed: Move[] = [];
  private failures = 0;
  private problem: string | undefined;
  private cancelRetry: CancelTimer | undefined;
  private stopping = false;
  private turn = 0;
  private idle: (() => void)[] = [];

  constructor(
    private readonly options: DistributorOptions,
    private readonly environment: SettlementEnvironment,
  ) {
    const { transport, log, events, clock } = environment;
    const { topology } = options;
    const reports = new ConsumerReports(topology.queue, events, clock);
    const stopped = (reason: string): void => reports.stopped(reason);
    this.intake = new Intake({ transport, log, topology, prefetch: PREFETCH, keepsOrder: true, stopped });
  }

  get state(): ConsumerState {
    if (this.stopping) return 'stopped';
    return this.intake.waitingFor === undefined ? 'consuming' : 'waiting';
  }

  report(): QueueReport {
    const { state, problem } = this;
    const reason = state === 'waiting' ? this.intake.waitingFor : problem;
    return { queue: this.options.topology.queue, state, inFlight: this.moves.size, reason, idempotency: undefined };
  }

  /** @throws TopologyMismatchError and what else waiting cannot cure */
  async declare(): Promise<void> {
    await this.intake.declare();
  }

  async start(): Promise<void> {
    await this.intake.start({
      delivery: (delivery) => this.take(delivery),
      lost: (delivery) => this.lose(delivery),
    });
  }

  /** What is under way gets its result, until `deadline`; the rest goes back in one step, to its old place. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.stopping = true;
    this.cancelRetry?.();
    if (this.underWay > 0) await until(new Promise<void>((resolve) => this.idle.push(resolve)), deadline);
    await until(this.intake.end(), deadline);
  }

  private take(delivery: Delivery): void {
    // The delivery goes back with the others when the intake ends.
    if (this.stopping) return;
    const move = this.moveOf(delivery);
    this.moves.set(delivery, move);
    const { key } = move;
    if (key === undefined) return this.send(move);
    const line = this.lines.get(key);
    if (line) return void line.push(move);
    this.lines.set(key, [move]);
    this.send(move);
  }

  private moveOf(delivery: Delivery): Move {
    const { queue, partitions = 1 } = this.options.topology;
    const key = this.keyOf(delivery);
    const partition = partitionOf(key ?? (delivery.message.id || String(this.turn++)), partitions);
    const copy = copyToPartition(delivery, partitionQueue(queue, partition), this.environment.clock.now());
    return { ...copy, delivery, key, lost: false };
  }

  /** A message whose key cannot be told has none: in its partition that fails again, and makes a dead letter of it. */
  private keyOf({ message }: Delivery): string | undefined {
    try {
      return this.options.keyOf(message);
    } catch {
      return undefined;
    }
  }

  private send(move: Move): void {
    this.underWay++;
    if (this.batch.push(move) === 1) queueMicrotask(() => this.flush());
  }

  /** What came together leaves together. */
  private flush(): void {
    const batch = this.batch.filter(({ lost }) => !lost);
    const lost = this.batch.filter((move) => move.lost);
    this.batch = [];
    if (batch.length > 0) this.environment.transport.publish(batch, this.done);
    for (const move of lost) this.end(move);
  }

  private readonly done = (outgoing: Outgoing, result: PublishResult): void => {
    const move = outgoing as Move;
    if (result.status === 'confirmed') {
      move.delivery.ack();
    } else if (result.status === 'refused') {
      this.refuse(move, result.error.message);
    } else if (!move.lost) {
      return this.retryLater(move, result);
    }
    this.end(move);
  };

  /** The move has a result: the next of its key may go. */
  private end(move: Move): void {
    this.underWay--;
    this.forget(move);
    this.wakeIfIdle();
  }

  private forget(move: Move): void {
    const { delivery, key } = move;
    this.moves.delete(delivery);
    if (this.troubled.delete(move) && this.troubled.size === 0) {
      this.failures = 0;
      this.problem = undefined;
    }
    if (key === undefined) return;
    const line = this.lines.get(key)!;
    line.shift();
    if (line.length === 0) this.lines.delete(key);
    else if (!this.stopping) this.send(line[0]);
  }

  /** Also when somebody deleted the partition: its consumer makes it again. */
  private retryLater(move: Move, result: Exclude<PublishResult, { status: 'confirmed' }>): void {
    this.underWay--;
    const { events, log, clock } = this.environment;
    const reason = errorMessage(result.error);
    if (events.has('store-error')) events.emit('store-error', { operation: 'copy', error: result.error });
    if (this.problem === undefined)
      log.warn(`«${move.delivery.queue}»: messages cannot be moved to their partitions, trying again: ${reason}`);
    this.problem = `messages cannot be moved to their partitions: ${reason}`;
    this.failed.push(move);
    this.troubled.add(move);
    if (!this.cancelRetry && !this.stopping) {
      const wait = Math.min(RETRY_MAX_MS, RETRY_INITIAL_MS * 2 ** Math.min(this.failures++, 10));
      this.cancelRetry = clock.after(wait, () => this.retry());
    }
    this.wakeIfIdle();
  }

  private retry(): void {
    this.cancelRetry = undefined;
    const failed = this.failed;
    this.failed = [];
    for (const move of failed) this.send(move);
  }

  /** No copy can ever be written: the message itself becomes a dead letter, with `dlq: false` one of the queue's owner. */
  private refuse({ delivery }: Move, reason: string): void {
    const { deadLetter } = this.options.topology;
    const fate = deadLetter ? `goes to «${deadLetter.queue}»` : `is ${givenUp(delivery)} (dlq: false)`;
    this.environment.log.error(
      `«${delivery.queue}»: no copy of ${nameOf(delivery.message)} can be written, it ${fate}: ${reason}${deadLetter ? '' : whoTakes(delivery)}`,
    );
    giveUp(delivery);
  }

  private lose(delivery: Delivery): void {
    const move = this.moves.get(delivery);
    if (!move) return;
    move.lost = true;
    this.moves.delete(delivery);
    if (remove(this.failed, move)) return this.forget(move);
    const line = move.key === undefined ? undefined : this.lines.get(move.key);
    // The first one is under way: what comes again waits for its result.
    if (line && line[0] !== move) remove(line, move);
  }

  private wakeIfIdle(): void {
    if (this.underWay === 0) for (const resolve of this.idle.splice(0)) resolve();
  }
}

function remove<T>(list: T[], item: T): boolean {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
}
