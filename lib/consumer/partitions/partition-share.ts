import type { CancelTimer, Clock } from '../../clock/clock.js';
import { errorMessage } from '../../errors/redact.js';
import type { Log } from '../../events/log.js';
import { newMessageId } from '../../message/message-id.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Outgoing } from '../../transport/outgoing.js';
import { membersQueue, membersTopology, partitionQueue, type Topology } from '../../transport/topology.js';
import type { Transport } from '../../transport/transport.js';
import type { Consumer } from '../consumer.js';
import { Intake } from '../intake.js';
import { until } from '../../clock/sleep.js';

/** Time between two looks at who has what, in milliseconds. */
const INTERVAL_MS = 1_000;
/** So many looks a partition must be free before a process that has its share takes it: others may need it more. */
const PATIENCE = 3;
/** After so many looks a partition is taken by anybody: that somebody works is more than that all work alike. */
const EMERGENCY = 10;
/** So many looks a partition of ours may wait, while the broker answers, before it is another process's. */
const STRAY = 3;
const REQUESTS = 10;

export interface PartitionShareOptions {
  /** With `partitions`. */
  readonly topology: Topology;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** A consumer of this partition that has not started. */
  consumerOf(partition: number): Consumer;
}

/**
 * The partitions that this process consumes: as many as any other, give or take one. Nobody leads. Each process counts
 * those that take part, takes what is free up to its share, lets go what is beyond it, and asks for one where it has less:
 * one of the others gets to hear that, and lets one go if it can.
 *
 * That a partition has one consumer at a time does not depend on any of this: the broker sees to it.
 */
export class PartitionShare {
  readonly owned = new Map<number, Consumer>();
  /** Let go, but not yet ended: their running handlers finish. */
  readonly leaving = new Map<number, Consumer>();
  private readonly members: Intake;
  /** How many looks in a row a partition was free, or waited for the broker though it is ours. */
  private readonly freeFor = new Map<number, number>();
  private readonly waitingFor = new Map<number, number>();
  private processes = 0;
  /** Partitions beyond our share that nobody else took, as long as the processes are the same. */
  private extra = 0;
  /** How many looks in a row we did not take part. */
  private uncounted = 0;
  /** The fewest partitions that a process has to have. */
  private least = Infinity;
  private cancelTimer: CancelTimer | undefined;
  private looking: Promise<void> = Promise.resolve();
  private paused = false;
  private stopped = false;

  constructor(private readonly options: PartitionShareOptions) {
    const { transport, log, topology } = options;
    this.members = new Intake({
      transport,
      log,
      topology: membersTopology(topology),
      prefetch: REQUESTS,
      keepsOrder: false,
      stopped() {},
    });
  }

  /** Why nobody can be counted. */
  get problem(): string | undefined {
    const { waitingFor } = this.members;
    return waitingFor === undefined ? undefined : `«${membersQueue(this.options.topology.queue)}»: ${waitingFor}`;
  }

  /** Takes part, and takes what is free. @throws TopologyMismatchError and what else waiting cannot cure */
  async start(): Promise<void> {
    await this.members.start({ delivery: (request) => this.asked(request), lost() {} });
    await this.next();
  }

  pause(): void {
    this.paused = true;
    for (const consumer of this.owned.values()) consumer.pause();
  }

  resume(): void {
    this.paused = false;
    for (const consumer of this.owned.values()) consumer.resume();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.stopped = true;
    this.cancelTimer?.();
    const consumers = (): Promise<unknown> =>
      Promise.all([...this.owned.values(), ...this.leaving.values()].map((consumer) => consumer.stop(deadline)));
    await Promise.all([until(this.members.end(), deadline), consumers()]);
    // A partition that was just being taken is there now.
    await until(this.looking, deadline);
    await consumers();
  }

  private next(): Promise<void> {
    this.looking = this.look().then(() => {
      if (!this.stopped)
        this.cancelTimer = this.options.clock.after(INTERVAL_MS, () => void this.next(), { background: true });
    });
    return this.looking;
  }

  private async look(): Promise<void> {
    const { transport, topology, log } = this.options;
    const partitions = topology.partitions ?? 0;
    // A process that is not counted itself would take too much; but better that than nothing at all.
    this.uncounted = this.problem === undefined ? 0 : this.uncounted + 1;
    if (this.uncounted % EMERGENCY !== 0) return;
    try {
      const [members] = await transport.partitioning!.consumers([membersQueue(topology.queue)]);
      const processes = Math.max(1, members ?? 1);
      const most = Math.ceil(partitions / processes);
      this.least = Math.floor(partitions / processes);
      this.letStraysGo();
      if (processes !== this.processes) this.extra = 0;
      this.processes = processes;
      while (this.owned.size > most + this.extra && this.letOneGo());
      if (this.owned.size < partitions) await this.takeFree(most);
      for (let missing = this.least - this.owned.size; missing > 0 && !this.stopped; missing--) this.ask();
    } catch (error) {
      log.debug(`The partitions of «${topology.queue}» could not be looked at: ${errorMessage(error)}`);
    }
  }

  private async takeFree(most: number): Promise<void> {
    const { transport, topology, random } = this.options;
    const others: number[] = [];
    for (let partition = 0; partition < (topology.partitions ?? 0); partition++)
      if (!this.owned.has(partition) && !this.leaving.has(partition)) others.push(partition);
    // Not all begin with the same.
    const start = Math.floor(random() * others.length);
    const inTurn = [...others.slice(start), ...others.slice(0, start)];
    const counts = await transport.partitioning!.consumers(
      inTurn.map((partition) => partitionQueue(topology.queue, partition)),
    );
    let room = this.least - this.owned.size;
    const wanted: number[] = [];
    for (const [at, partition] of inTurn.entries()) {
      const free = counts[at] ? 0 : (this.freeFor.get(partition) ?? 0) + 1;
      this.freeFor.set(partition, free);
      const size = this.owned.size + wanted.length;
      if (free === 0) continue;
      const fair = room-- > 0 || (size < most && free >= PATIENCE);
      if (!fair && free < EMERGENCY) continue;
      if (!fair) this.extra++;
      wanted.push(partition);
    }
    await Promise.all(wanted.map((partition) => this.take(partition)));
  }

  private async take(partition: number): Promise<void> {
    if (this.stopped) return;
    const consumer = this.options.consumerOf(partition);
    this.freeFor.delete(partition);
    this.owned.set(partition, consumer);
    if (this.paused) consumer.pause();
    try {
      await consumer.start();
    } catch (error) {
      this.options.log.error(`«${consumer.queue}» cannot be consumed: ${errorMessage(error)}`);
      this.letGo(partition);
    }
    // Another process was faster.
    if (consumer.state === 'waiting') this.letGo(partition);
  }

  /** While we had no connection another process may have taken partitions of ours. */
  private letStraysGo(): void {
    for (const [partition, consumer] of [...this.owned]) {
      const waited = consumer.state === 'waiting' ? (this.waitingFor.get(partition) ?? 0) + 1 : 0;
      this.waitingFor.set(partition, waited);
      if (waited >= STRAY) this.letGo(partition);
    }
  }

  /**
   * The least busy partition. What it holds goes back to the broker, which counts that: one with what came back before
   * is kept, so that no move looks like a crash.
   */
  private letOneGo(): boolean {
    let best: number | undefined;
    for (const [partition, consumer] of this.owned) {
      if (consumer.holdsRedelivered) continue;
      if (best === undefined || consumer.inFlight < this.owned.get(best)!.inFlight) best = partition;
    }
    if (best !== undefined) this.letGo(best);
    return best !== undefined;
  }

  private letGo(partition: number): void {
    const consumer = this.owned.get(partition);
    if (!consumer) return;
    this.owned.delete(partition);
    this.waitingFor.delete(partition);
    this.leaving.set(partition, consumer);
    // However long its handlers run: another process must not begin with what they have. A shutdown ends that.
    void consumer.stop(new AbortController().signal).finally(() => this.leaving.delete(partition));
  }

  private ask(): void {
    const { transport, topology, clock } = this.options;
    const id = newMessageId(clock.now());
    const request: Outgoing = {
      to: { kind: 'queue', queue: membersQueue(topology.queue) },
      message: { id, route: 'partition', body: Buffer.alloc(0), headers: {}, properties: {} },
      dedupeId: id,
      mandatory: false,
    };
    // Whoever is not heard asks again.
    transport.publish([request], () => {});
  }

  private asked(request: Delivery): void {
    request.ack();
    if (!this.stopped && this.owned.size > this.least) this.letOneGo();
  }
}
