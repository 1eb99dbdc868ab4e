import { MessagingModule, MessagingError, Publisher, type Messaging, type TransportFactory } from 'nestjs-messaging';
import { waitFor } from '../brokers/wait-for.js';
import { boot, type Application } from '../e2e/support/application.js';
import { account, type Account, inFlight, type Trail } from './checker.js';
import { type Entry, now, type Record } from './journal.js';

/** Published at once. */
export const BATCH = 20;
const PREFETCH = 50;

/** Publishes and handles without a pause on one application, and keeps account of every message. */
export class Load {
  readonly entries: Entry[] = [];
  private stopped = false;
  private running: Promise<void> = Promise.resolve();
  private readonly open: Promise<unknown>[] = [];
  private count = 0;
  private ended = 0;

  private constructor(
    readonly application: Application,
    private readonly mostAhead: number,
  ) {}

  /** `mostAhead`: how many may be published and not handled. `confirmTimeout`: what has no answer for so long is sent again. */
  static async start(transport: TransportFactory, mostAhead = Infinity, confirmTimeout = 1_000): Promise<Load> {
    const load = new Load(await bootOn(transport, confirmTimeout), mostAhead);
    await load.handle(load.application);
    load.running = load.publish();
    return load;
  }

  /** One more process of the service, which shares the queue. */
  async join(transport: TransportFactory): Promise<Application> {
    const application = await bootOn(transport);
    await this.handle(application);
    return application;
  }

  get messaging(): Messaging {
    return this.application.messaging;
  }

  get handled(): number {
    return this.ended;
  }

  /** So many more were handled. */
  async more(count: number): Promise<void> {
    const wanted = this.handled + count;
    await waitFor(() => this.handled >= wanted, `${count} more messages`, 25_000);
  }

  /** Stops publishing until `go`; resolves when nothing is under way. */
  async rest(): Promise<void> {
    this.stopped = true;
    await this.running;
    await waitFor(() => this.handled >= this.count, 'the rest', 25_000);
  }

  stop(): void {
    this.stopped = true;
  }

  go(): void {
    this.stopped = false;
    this.running = this.publish();
  }

  /** Stops publishing, lets everything come to rest, and gives the account. `from`, `to`: when the fault was. */
  async finish(from: number, to: number): Promise<Account & { inFlight: number }> {
    this.stopped = true;
    await this.running;
    await Promise.all(this.open);
    await waitFor(() => this.messaging.health().retryQueue.depth === 0, 'the retry queue', 25_000);
    const trail: Trail = { entries: this.entries };
    const lost = (): readonly string[] => account({ trails: [trail], deadLetters: [] }).lost;
    await waitFor(() => lost().length === 0, 'every confirmed message', 25_000).catch(() => undefined);
    const { publishes, deliveries } = inFlight([trail], from, to);
    return { ...account({ trails: [trail], deadLetters: [] }), inFlight: publishes + deliveries };
  }

  private async handle({ messaging }: Application): Promise<void> {
    await messaging.subscribe({ route: 'loaded', prefetch: PREFETCH, dlq: true }, async (_, { id, attempt }) => {
      this.note({ e: 'start', id, attempt });
      await new Promise((resolve) => setImmediate(resolve));
      this.note({ e: 'end', id, attempt });
      this.ended++;
    });
  }

  private async publish(): Promise<void> {
    const publisher = this.application.get(Publisher);
    while (!this.stopped) {
      if (this.count - this.ended < this.mostAhead)
        await Promise.all(Array.from({ length: BATCH }, () => this.one(publisher, `m${this.count++}`)));
      // A publisher that refuses everything at once would keep the process from anything else.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  private async one(publisher: Publisher, id: string): Promise<void> {
    this.note({ e: 'attempt', id });
    try {
      const receipt = await publisher.publish('loaded', { id }, { id });
      this.note({ e: 'receipt', id, outcome: receipt.outcome });
      if (receipt.outcome === 'queued')
        this.open.push(
          receipt.settled.then(
            () => this.note({ e: 'settled', id, outcome: 'confirmed' }),
            (error: unknown) => this.note({ e: 'settled', id, outcome: 'rejected', code: codeOf(error) }),
          ),
        );
    } catch (error) {
      this.note({ e: 'rejected', id, code: codeOf(error) });
      if (codeOf(error) === 'PUBLISHER_CLOSED') this.stopped = true;
    }
  }

  private note(record: Record): void {
    this.entries.push({ t: now(), ...record });
  }
}

function bootOn(transport: TransportFactory, confirmTimeout = 1_000): Promise<Application> {
  return boot({
    imports: [
      MessagingModule.forRoot({
        service: 'load',
        transport,
        reconnect: { initial: 20, max: 200, jitter: 0.2 },
        confirmTimeout,
        unroutable: 'queue',
        retryQueue: { interval: 50, maxMessages: 100_000 },
      }),
    ],
  });
}

function codeOf(error: unknown): string {
  return error instanceof MessagingError ? error.code : String(error);
}
