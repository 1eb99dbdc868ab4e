import { systemClock } from '../clock/clock.js';
import type { QueueReport } from '../consumer/queue-consumer.js';
import type { ObservedMessaging, ObservedSubscription } from '../dashboard/observed-messaging.js';
import { ArchiveSearch } from '../dead-letter/archive-search.js';
import type { DeadLetterArchive } from '../dead-letter/dead-letter-archive.js';
import { DeadLetters } from '../dead-letter/dead-letters.js';
import { UnsupportedError } from '../errors/configuration-errors.js';
import { errorMessage } from '../errors/redact.js';
import type { Log } from '../events/log.js';
import { MessagingEvents } from '../events/messaging-events.js';
import type { HealthReport } from '../health/health-report.js';
import type { PublisherDeadLetters } from '../publisher/publisher-dead-letters.js';
import type { ListedQueue, QueueList } from '../transport/queue-list.js';
import type { Transport, TransportEvent } from '../transport/transport.js';

/** What a dashboard is to show, without an application. */
export interface Observed {
  readonly transport: Transport;
  /** What stands in the place of the broker's address. */
  readonly host: string;
  readonly service: string;
  readonly list: () => Promise<QueueList | undefined>;
  readonly publishers: PublisherDeadLetters;
  readonly archive?: DeadLetterArchive;
  readonly log: Log;
}

const AGAIN_MS = 15_000;

/** A broker and files as a dashboard sees them: what the applications do is told by the broker alone. */
export class ObservedBroker implements ObservedMessaging {
  readonly connection = 'default';
  readonly coordinated = false;
  readonly events: MessagingEvents;
  readonly deadLetters: DeadLetters;
  readonly environment: ObservedMessaging['environment'];
  private queues: readonly ListedQueue[] = [];
  private listedAt = -Infinity;
  private askedAt = -Infinity;
  private listing = false;
  private isFailing = false;
  private since = systemClock.now();
  private lost: string | undefined;

  constructor(private readonly observed: Observed) {
    const { transport, publishers, archive, service, log } = observed;
    const clock = systemClock;
    this.environment = { service, clock, log };
    this.events = new MessagingEvents((error) => log.warn(String(error)));
    this.deadLetters = new DeadLetters({
      ...{ transport, publishers, clock, events: this.events },
      queues: () => new Map(),
      onChange: () => undefined,
      ...(archive && { archive: new ArchiveSearch(archive, clock, () => undefined) }),
    });
  }

  /** What the transport says of its connection. */
  told(event: TransportEvent): void {
    if (event.type !== 'connected' && event.type !== 'disconnected') return;
    this.lost = event.type === 'connected' ? undefined : event.reason;
    this.since = systemClock.now();
  }

  /** Asks the broker what there is. @throws what the broker answers */
  async refresh(): Promise<void> {
    this.askedAt = systemClock.monotonic();
    this.queues = (await this.observed.list())?.queues ?? [];
    this.listedAt = systemClock.monotonic();
    this.isFailing = false;
  }

  health(): HealthReport {
    this.refreshSoon();
    const { host, publishers } = this.observed;
    const dead = this.deadLetterQueues;
    const ageMs = Math.max(0, systemClock.monotonic() - this.listedAt);
    const counted = this.queues.flatMap(({ name, ready }) =>
      dead.has(name) && ready !== undefined ? [{ queue: name, count: ready, ageMs }] : [],
    );
    const consumers = this.subscriptionSummaries().flatMap(({ reports }) =>
      reports.map(({ queue, state, inFlight, reason }) => ({ queue, state, inFlight, ...(reason && { reason }) })),
    );
    const state = this.lost === undefined ? 'connected' : 'connecting';
    const since = new Date(this.since).toISOString();
    return {
      status: this.lost !== undefined ? 'down' : consumers.some(({ reason }) => reason) ? 'degraded' : 'up',
      connection: { state, since, host, blocked: false, ...(this.lost !== undefined && { reason: this.lost }) },
      consumers,
      retryQueue: { store: 'disk', depth: 0, bytes: 0, oldestAgeMs: 0 },
      deadLetters: { publisher: publishers.size, queues: counted },
    };
  }

  subscriptionSummaries(): readonly ObservedSubscription[] {
    const dead = this.deadLetterQueues;
    return this.queues
      .filter(({ name }) => !dead.has(name))
      .map((queue) => {
        const { name, routes, deadLetterQueue } = queue;
        return { name, queue: name, routes, deadLetterQueue, reports: [reportOf(queue)] };
      });
  }

  async depth(queue: string): Promise<number | undefined> {
    return this.queues.find(({ name }) => name === queue)?.ready;
  }

  pause(): never {
    throw new UnsupportedError('Only a process pauses its subscriptions');
  }

  resume(): never {
    return this.pause();
  }

  async pauseEverywhere(): Promise<never> {
    return this.pause();
  }

  async resumeEverywhere(): Promise<never> {
    return this.pause();
  }

  private get deadLetterQueues(): ReadonlySet<string> {
    return new Set(this.queues.flatMap(({ deadLetterQueue }) => deadLetterQueue ?? []));
  }

  /** While somebody looks. Where the broker does not answer, what was known stays, with its age. */
  private refreshSoon(): void {
    if (this.listing || systemClock.monotonic() - this.askedAt < AGAIN_MS) return;
    this.listing = true;
    void this.refresh()
      .catch((error: unknown) => {
        if (!this.isFailing) this.observed.log.warn(`The queues are not listed any more: ${errorMessage(error)}`);
        this.isFailing = true;
      })
      .finally(() => (this.listing = false));
  }
}

function reportOf({ name: queue, consumers, inFlight = 0 }: ListedQueue): QueueReport {
  const isConsumed = consumers !== undefined && consumers !== 0;
  const reason = consumers === 0 ? 'nobody consumes it' : undefined;
  return { queue, state: isConsumed ? 'consuming' : 'waiting', inFlight, reason, idempotency: undefined };
}
