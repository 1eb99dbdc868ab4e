import { memoryTransactionRecords } from '../../../lib/transaction/memory-transaction-records.js';
import type { TransactionInDoubt } from '../../../lib/transaction/transaction-in-doubt.js';
import type { TransactionsOptions } from '../../../lib/transaction/transaction-options.js';
import type { TransactionRecordStore } from '../../../lib/transaction/transaction-record.js';
import type { MessagingModuleOptions } from '../../../lib/messaging.options.js';
import { fixed } from '../../../lib/retry/backoff.js';
import { Application } from '../support/application.js';
import { confirmed, type FakeTransport } from '../support/fake-transport.js';

export const LEASE = 3_000;
export const TIMEOUT = 10_000;
export const GRACE = 2_000;
export const BACKOFF = 1_000;

/** What several processes share: the records, and the database that local transactions write to. */
export class World {
  readonly store = memoryTransactionRecords().create(undefined as never);
  /** Ids of transactions that have committed. */
  readonly committed = new Set<string>();
  readonly asked: TransactionInDoubt[] = [];
  readonly processes: Process[] = [];
  /** Ids of messages that the broker has taken, whether or not anybody heard of it. */
  readonly arrived = new Set<string>();
  /** What is answered; by default the truth. */
  answer: (transaction: TransactionInDoubt) => unknown = ({ id }) =>
    this.committed.has(id) ? 'committed' : 'rolled-back';

  async process(
    more: Partial<TransactionsOptions> = {},
    options: MessagingModuleOptions = {},
    transport?: FakeTransport,
  ): Promise<Process> {
    const process = new Process(this, more, options, transport);
    this.processes.push(process);
    await process.messaging.connect();
    process.messaging.addChecker({
      route: 'order.created',
      place: 'Orders.wasCreated',
      ask: (transaction) => {
        this.asked.push(transaction);
        return this.answer(transaction);
      },
    });
    process.transport.connected();
    process.messaging.startChecks();
    await process.turn();
    return process;
  }

  /** Time passes for all that live. */
  async pass(ms: number): Promise<void> {
    for (const end = ms; ms > 0; ms -= 500)
      for (const process of this.processes) if (process.alive) await process.clock.advance(Math.min(500, ms, end));
  }

  get sent(): string[] {
    return this.processes.flatMap(({ transport }) => transport.publishedIds);
  }
}

/** One process that can be killed: its time stands still then, and nothing it does is done any more. */
export class Process extends Application {
  alive = true;
  private readonly store: TransactionRecordStore;

  constructor(
    world: World,
    more: Partial<TransactionsOptions>,
    options: MessagingModuleOptions,
    transport?: FakeTransport,
  ) {
    const mortal = new Proxy(world.store, {
      get: (store, name: keyof TransactionRecordStore) => {
        const method = store[name] as ((...args: never[]) => unknown) | undefined;
        if (!method) return undefined;
        return (...args: never[]) => {
          if (!this.alive && name !== 'close') return new Promise(() => undefined);
          const call = (): unknown => this.faults.get(name)?.() ?? method.apply(store, args);
          return this.wrappers.get(name)?.(call) ?? call();
        };
      },
    });
    const factory = { kind: 'shared', durable: true, create: () => mortal };
    const transactions = {
      ...{ store: factory, timeout: TIMEOUT, grace: GRACE, lease: LEASE, checks: 3, backoff: fixed(BACKOFF) },
      ...more,
    };
    super({ ...options, transactions }, transport);
    this.store = mortal;
    this.transport.answer = ({ message }) => {
      if (!this.alive) return undefined;
      world.arrived.add(message.id);
      return confirmed;
    };
  }

  /** Methods of the store that do something else. */
  readonly faults = new Map<keyof TransactionRecordStore, () => unknown>();

  private readonly wrappers = new Map<keyof TransactionRecordStore, (call: () => unknown) => unknown>();

  /** Puts something around a method of the store. */
  around(method: keyof TransactionRecordStore, wrapper: (call: () => unknown) => unknown): void {
    this.wrappers.set(method, wrapper);
  }

  break(...methods: (keyof TransactionRecordStore)[]): void {
    for (const method of methods) this.faults.set(method, () => Promise.reject(new Error('the disk is gone')));
  }

  kill(): void {
    this.alive = false;
  }

  states(): Promise<string[]> {
    return this.store.page(undefined, 0, 100).then((records) => records.map(({ state }) => state));
  }
}
