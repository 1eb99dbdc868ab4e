import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Proxy } from '../brokers/proxy.js';
import type { RabbitHandle } from '../brokers/rabbitmq/handle.js';
import type { RabbitNode } from '../brokers/rabbitmq/node.js';
import { waitFor } from '../brokers/wait-for.js';
import { Admin } from './admin.js';
import { AmqpGate } from './amqp-gate.js';
import { account, type Account, firstOutOfOrder, firstTooEarly, inFlight, problemsOf } from './checker.js';
import type { Cluster } from './cluster.js';
import type { FaultCase } from './fault-case.js';
import { now } from './journal.js';
import { Random, seedOf } from './random.js';
import { WorkerProcess } from './worker-process.js';
import { type ConsumerKind, type LoadRequest, mostHeld, type WorkerSettings } from './worker/settings.js';

/** Where a cell runs. */
export interface CellPlace {
  readonly version: string;
  readonly node?: RabbitNode;
  readonly cluster?: Cluster;
  readonly queueType: 'quorum' | 'classic';
  readonly consumerKind: ConsumerKind;
  readonly seed: number;
  /** What compile.mjs made. */
  readonly compiled: string;
  /** For journals. */
  readonly directory: string;
  /** Messages of the cells that are about many. */
  readonly many: number;
  /** Options of Node for the workers. */
  readonly execArgv?: readonly string[];
}

interface Strike {
  readonly from: number;
  readonly to: number;
  /** Messages under way that no process has: they wait on the broker. */
  readonly waiting: number;
}

const DEFAULT_LOAD: LoadRequest = { rate: 300, mixed: true };
/** Of the load, where the queue is split by key. */
const KEYS = 40;
const SETTLED_WITHIN_MS = 40_000;
/** Something acknowledged is missing, and nothing has been handled for so long. */
const STUCK_AFTER_MS = 25_000;

/** One run of one fault: a publisher and a consumer under load, the fault, the healing, the account. */
export class Cell {
  readonly random: Random;
  readonly problems: string[] = [];
  readonly workers: WorkerProcess[] = [];
  readonly strikes: Strike[] = [];
  /** Copies that may exist beside what was in flight, for faults that cause such. */
  extraDuplicates = 0;
  /** Messages that an operator deleted with their queue. */
  readonly deleted = new Set<string>();
  admin!: Admin;
  /** Between publishers and broker. */
  proxy!: Proxy;
  /** Between consumers and broker. */
  gate!: AmqpGate;
  publisher!: WorkerProcess;
  consumer!: WorkerProcess;
  vhost!: string;
  private started = 0;

  constructor(
    readonly fault: FaultCase,
    readonly place: CellPlace,
  ) {
    this.random = new Random(seedOf(place.seed, fault.name, place.version));
  }

  /** The broker of a fault that has one node. */
  get node(): RabbitNode {
    const { node } = this.place;
    if (!node) throw new Error(`«${this.fault.name}» has a cluster, not a node`);
    return node;
  }

  get cluster(): Cluster {
    const { cluster } = this.place;
    if (!cluster) throw new Error(`«${this.fault.name}» has a node, not a cluster`);
    return cluster;
  }

  async prepare(): Promise<void> {
    const { node, cluster } = this.place;
    const nodes = (): readonly RabbitHandle[] => cluster?.running ?? [this.node];
    this.vhost = await nodes()[0].createVhost();
    this.admin = new Admin(nodes, this.vhost);
    if (node) {
      this.proxy = await Proxy.start(node.url(this.vhost));
      this.gate = await AmqpGate.start(node.port);
    }
    this.consumer = await this.startConsumer();
    // A loop declares its queue after its application listens.
    await this.recovered(this.consumer);
    this.publisher = await this.startPublisher();
    await this.warmUp();
    const { load = DEFAULT_LOAD } = this.fault;
    if (load) await this.publisher.tell({ do: 'load', load: this.isSplit ? { keys: KEYS, ...load } : load });
  }

  /** Messages of a key are handled in their order. */
  private get isSplit(): boolean {
    return this.place.consumerKind === 'partitions';
  }

  startPublisher(settings: Partial<WorkerSettings> = {}): Promise<WorkerProcess> {
    return this.start('publisher', settings);
  }

  startConsumer(settings: Partial<WorkerSettings> = {}): Promise<WorkerProcess> {
    return this.start('consumer', settings);
  }

  /** Enough has been published and handled for a steady state. */
  async underLoad(): Promise<void> {
    const { publisher, consumer } = this;
    const confirmed = publisher.count('receipt');
    const handled = consumer.count('end');
    const moving = (): boolean =>
      publisher.count('receipt') >= confirmed + 30 && consumer.count('end') >= handled + 20 && consumer.handling > 0;
    await waitFor(moving, 'a steady load', 20_000);
  }

  /** The fault hits: from the call to its end. */
  async strike<T>(hit: () => Promise<T> | T, waiting = 0): Promise<T> {
    const from = now();
    const result = await hit();
    this.strikes.push({ from, to: now(), waiting });
    return result;
  }

  /** The time of the latest strike. */
  get struckAt(): number {
    return this.strikes.at(-1)?.from ?? 0;
  }

  /** Waits for an event of a worker since the latest strike: the trace that the fault must leave. */
  async expect(worker: WorkerProcess, event: string, atLeast = 1, within = 20_000): Promise<void> {
    const since = this.struckAt;
    const seen = (): boolean => worker.events(event, since).length >= atLeast;
    await waitFor(seen, `${worker.name} to report «${event}» ${atLeast} times`, within);
  }

  /** Every worker is connected, and every consumer consumes. */
  async recovered(...workers: readonly WorkerProcess[]): Promise<void> {
    for (const worker of workers.length > 0 ? workers : [this.publisher, this.consumer]) {
      const well = async (): Promise<boolean> => {
        const { connection, consumers } = await worker.status();
        return connection === 'connected' && consumers.every(({ state }) => state === 'consuming');
      };
      await waitFor(well, `${worker.name} to be well again`, 30_000);
    }
  }

  check(holds: boolean, problem: string): void {
    if (!holds) this.problems.push(problem);
  }

  /** Ends the load, waits until nothing is under way, ends the processes, and settles the account. */
  async finish(): Promise<Account> {
    const publishers = this.alive('publisher');
    for (const publisher of publishers) await publisher.tell({ do: 'stop-load' });
    for (const publisher of publishers) await this.settled(publisher);
    await this.drained();
    for (const worker of [...this.alive('publisher'), ...this.alive('consumer')]) await worker.close();
    const waiting = await this.admin.waiting();
    this.check(Object.keys(waiting).length === 0, `left on the broker: ${JSON.stringify(waiting)}`);
    const deadLetters = (await this.admin.deadLetters()).map(({ id }) => id);
    const result = account({ trails: this.workers, deadLetters, deleted: this.deleted });
    this.judge(result);
    if (this.isSplit) this.judgeOrder();
    if (result.lost.length > 0) this.problems.push(`the broker holds ${await this.admin.held()}`);
    return result;
  }

  async dispose(): Promise<void> {
    for (const worker of this.workers) await worker.kill();
    await this.proxy?.close();
    await this.gate?.close();
  }

  private async start(role: 'publisher' | 'consumer', settings: Partial<WorkerSettings>): Promise<WorkerProcess> {
    const { queueType, consumerKind, seed, directory, compiled, node, cluster } = this.place;
    const name = `${role}-${++this.started}`;
    const port = role === 'publisher' ? this.proxy?.port : this.gate?.port;
    const urls = node ? [`amqp://guest:guest@127.0.0.1:${port}/${this.vhost}`] : cluster!.urls(this.vhost);
    const worker = new WorkerProcess(
      {
        name,
        role,
        consumerKind,
        urls,
        queueType,
        journal: join(directory, `${this.vhost}-${name}.jsonl`),
        seed: seedOf(seed, this.fault.name, name),
        heartbeat: 10,
        confirmTimeout: 5_000,
        shutdownTimeout: 10_000,
        unroutable: 'reject',
        prefetch: 20,
        handlerMs: [10, 60],
        retryMs: 150,
        maxQueued: 20_000,
        side: false,
        ...this.fault.worker,
        ...settings,
      },
      compiled,
      this.place.execArgv,
    );
    this.workers.push(worker);
    return worker.ready();
  }

  private alive(role: 'publisher' | 'consumer'): WorkerProcess[] {
    return this.workers.filter(({ alive, settings }) => alive && settings.role === role);
  }

  /**
   * One message is retried, so that all queues are there before the fault: a quorum queue that is declared while its
   * broker is killed can come back without answering anybody, which no client can help.
   */
  private async warmUp(): Promise<void> {
    const [id] = await this.publisher.tell<string[]>({ do: 'publish', publish: { count: 1, does: 'flaky' } });
    const isHandled = (): boolean => this.consumer.read().entries.some((entry) => entry.e === 'end' && entry.id === id);
    await waitFor(isHandled, 'the first message', 20_000);
  }

  private async settled(publisher: WorkerProcess): Promise<void> {
    const isSettled = async (): Promise<boolean> => (await publisher.status()).unsettled === 0;
    await waitFor(isSettled, 'all publishes to be settled', SETTLED_WITHIN_MS).catch(() => undefined);
  }

  /** Nothing waits in a queue, nothing is being handled, and everything acknowledged has arrived; or nothing moves. */
  private async drained(): Promise<void> {
    let arrived = -1;
    let deadline = 0;
    while (!(await this.isQuiet())) {
      const now = this.alive('consumer').reduce((sum, worker) => sum + worker.count('start'), 0);
      if (now > arrived) deadline = Date.now() + STUCK_AFTER_MS;
      else if (Date.now() > deadline + (this.fault.stillForMs ?? 0)) return;
      arrived = now;
      // Every look costs the broker a connection.
      await pause(150);
    }
  }

  private async isQuiet(): Promise<boolean> {
    for (const consumer of this.alive('consumer')) {
      const { consumers } = await consumer.status();
      if (consumers.some(({ inFlight }) => inFlight > 0)) return false;
    }
    if (Object.keys(await this.admin.waiting()).length > 0) return false;
    const deadLetters = (await this.admin.deadLetters()).map(({ id }) => id);
    for (const worker of this.workers) worker.read();
    return account({ trails: this.workers, deadLetters, deleted: this.deleted }).lost.length === 0;
  }

  private judge(result: Account): void {
    const held = mostHeld(this.consumer.settings);
    let duplicates = this.extraDuplicates;
    this.check(this.strikes.length > 0, 'the fault did not happen');
    const consumers = this.workers.filter(({ settings }) => settings.role === 'consumer').length;
    for (const { from, to, waiting } of this.strikes) {
      const hit = inFlight(this.workers, from, to);
      this.check(hit.publishes + hit.deliveries + waiting > 0, 'nothing was in flight when the fault hit');
      // Until its publisher notices, the fault goes on hitting.
      const noticed = Math.max(to, ...this.workers.map((worker) => worker.events('disconnected', from)[0]?.t ?? 0));
      duplicates += inFlight(this.workers, from, noticed).publishes + held * consumers + waiting;
    }
    // Each strike can cost a message its confirm, and its ack as well: on each queue that it passes through.
    const copies = this.fault.copies ?? 1 + (this.isSplit ? 3 : 2) * this.strikes.length;
    this.problems.push(...problemsOf(result, { duplicates, copies }));
  }

  private judgeOrder(): void {
    const consumers = this.workers.filter(({ settings }) => settings.role === 'consumer');
    const entries = consumers.flatMap((consumer) => consumer.read().entries).sort((one, other) => one.t - other.t);
    const wrong = firstOutOfOrder(entries) ?? firstTooEarly(entries);
    if (wrong !== undefined) this.problems.push(wrong);
  }
}
