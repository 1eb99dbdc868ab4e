import type { Clock } from '../clock/clock.js';
import { ManualClock } from '../clock/manual-clock.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { integerBetween, knownKeys, numberBetween } from '../errors/option-checks.js';
import { memoryIdempotencyStore } from '../idempotency/memory-idempotency-store.js';
import type { Messaging } from '../messaging.js';
import type { MessagingModuleOptions } from '../messaging.options.js';
import { DEFAULT_CONNECTION } from '../messaging.tokens.js';
import { memoryRetryQueue } from '../publisher/memory-retry-queue.js';
import { memoryTransactionRecords } from '../transaction/memory-transaction-records.js';
import { memory } from '../transports/memory/memory.js';
import { MemoryBroker } from '../transports/memory/memory-broker.js';
import { filterOf, type MessageFilter, nameOf, type WaitOptions } from './expectation.js';
import {
  type DeadLetteredMessage,
  type HandledMessage,
  Journal,
  type MessagingHistory,
  type PublishedMessage,
} from './journal.js';
import { report } from './report.js';
import { VirtualTime } from './virtual-time.js';
import { Waits } from './waits.js';

/** Options of `MessagingTestingModule.forRoot`. */
export interface MessagingTestingOptions {
  /** True: all connections lead to one broker, as where they have one in production. Default false: each has its own. */
  readonly shared?: boolean;
  /**
   * What happens to a publish that no queue takes, where the publish does not say so itself: `ignore` (default), since
   * queues of other applications are not there; `reject`, as in production.
   */
  readonly unroutable?: 'ignore' | 'reject';
}

/** Real milliseconds that handlers have to end by themselves when the application closes. */
const CLOSE_GRACE_MS = 1_000;
const WITHIN_MS = 3_600_000;
const TIMEOUT_MS = 4_000;
const LONGEST_MS = 2 ** 31 - 1;

/** What a test sees of an application's messages, and where it moves their time. Injectable. */
export class MessagingProbe {
  private readonly manual = new ManualClock();
  private readonly brokers = new Map<string, MemoryBroker>();
  private readonly connections: Messaging[] = [];
  private readonly journal: Journal = new Journal(() => this.waits.changed());
  private readonly time = new VirtualTime(this.manual, this.journal);
  private readonly waits = new Waits(this.time, this.journal, () => this.anythingPending);

  /** @internal */
  constructor(private readonly options: MessagingTestingOptions) {}

  /** The virtual time of every connection: it stands still, but for `advance` and waits. */
  get clock(): Clock {
    return this.manual;
  }

  /** What has happened so far. */
  get history(): MessagingHistory {
    return this.journal;
  }

  /** The broker in the place of a connection's, to look into or to make fail (`faults`). @throws InvalidOptionError */
  broker(connection: string = DEFAULT_CONNECTION): MemoryBroker {
    const broker = this.brokers.get(connection);
    if (!broker)
      throw new InvalidOptionError(
        'connection',
        connection,
        `a connection of the application: ${[...this.brokers.keys()].join(', ') || 'there is none'}`,
      );
    return broker;
  }

  /**
   * Resolves with all matching publishes, as soon as there are enough. @throws ExpectationError (as rejection), which says
   * what happened instead
   */
  published(filter: MessageFilter<PublishedMessage> = {}, options: WaitOptions = {}): Promise<PublishedMessage[]> {
    return this.wait('published', this.journal.published, filter, options);
  }

  /** The same for messages whose handler has succeeded. */
  handled(filter: MessageFilter<HandledMessage> = {}, options: WaitOptions = {}): Promise<HandledMessage[]> {
    return this.wait('handled', this.journal.handled, filter, options);
  }

  /** The same for messages that were given up, and confirmed by their dead-letter queue. */
  deadLettered(
    filter: MessageFilter<DeadLetteredMessage> = {},
    options: WaitOptions = {},
  ): Promise<DeadLetteredMessage[]> {
    return this.wait('dead-lettered', this.journal.deadLettered, filter, options);
  }

  /** Moves virtual time on by `ms` milliseconds: retries, delays and expiries that fall due on the way happen. */
  async advance(ms: number): Promise<void> {
    await this.time.advance(numberBetween('ms', ms, 0, LONGEST_MS));
    await this.time.quiet();
  }

  /** Resolves when nothing happens any more, without time passing; handlers that wait for something real go on. */
  idle(): Promise<void> {
    return this.time.quiet();
  }

  /** Forgets what has happened so far, where several tests share an application. */
  clear(): void {
    this.journal.clear();
  }

  /** @internal */
  substitute(connection: string, options: MessagingModuleOptions): MessagingModuleOptions {
    const topic = options.transport?.topic;
    const broker =
      (this.options.shared && this.brokers.values().next().value) || new MemoryBroker({ clock: this.manual });
    this.brokers.set(connection, broker);
    return {
      ...options,
      transport: memory({ broker, ...(topic !== undefined && { topic }) }),
      clock: this.manual,
      provision: true,
      unroutable: this.options.unroutable ?? 'ignore',
      retryQueue: { ...options.retryQueue, store: memoryRetryQueue() },
      idempotencyStore: memoryIdempotencyStore(),
      ...(options.transactions && {
        transactions: { ...options.transactions, store: memoryTransactionRecords() },
      }),
      publishMiddleware: [...(options.publishMiddleware ?? []), this.journal.publishing(connection)],
    };
  }

  /** @internal */
  created(messaging: Messaging): void {
    this.connections.push(messaging);
    this.journal.observe(messaging);
  }

  /** The application begins to close: whoever waits is told, and deadlines come though nobody moves the time. @internal */
  close(): void {
    this.waits.close();
    const ended = (): boolean => this.connections.every((one) => one.health().connection.state === 'closed');
    void this.time.drain(ended, CLOSE_GRACE_MS);
  }

  private async wait<T extends PublishedMessage | HandledMessage>(
    what: string,
    records: readonly T[],
    filter: MessageFilter<T>,
    options: WaitOptions,
  ): Promise<T[]> {
    knownKeys('wait', options, ['count', 'within', 'timeout']);
    const count = integerBetween('count', options.count ?? 1, 1, 10_000);
    const timeoutMs = numberBetween('timeout', options.timeout ?? TIMEOUT_MS, 1, LONGEST_MS);
    const withinMs = numberBetween('within', options.within ?? WITHIN_MS, 0, Number.MAX_SAFE_INTEGER);
    const matching = filterOf<T>(filter);
    const found = (): T[] => records.filter(matching);
    return this.waits.wait({
      withinMs,
      timeoutMs,
      find: () => {
        const all = found();
        return all.length >= count ? all : undefined;
      },
      describe: (advancedMs) =>
        `Waited for ${count} ${what}${nameOf(filter)}, and saw ${found().length} ` +
        `(${timeoutMs} ms; virtual time went on by ${Math.round(advancedMs)} ms). What happened instead:\n` +
        report(this.journal, this.brokers),
    });
  }

  private get anythingPending(): boolean {
    return (
      this.manual.pending > 0 ||
      [...this.brokers.values()].some((broker) => broker.delayed > 0 || broker.queues().some(({ ready }) => ready > 0))
    );
  }
}
