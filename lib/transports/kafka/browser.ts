import type { Clock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Browser } from '../../transport/queue-operations.js';
import { MOST_AHEAD } from './ahead.js';
import type { IncomingRecord } from './client-port.js';
import { KafkaDelivery } from './delivery.js';
import { lagOf } from './groups.js';
import { keyOf } from './intake.js';
import type { Link } from './link.js';
import { GroupReader, type RecordHolder } from './reader.js';

/** A cluster that gives nothing for so long is not waited for. */
const SILENT_MS = 30_000;

export interface BrowserParts {
  readonly link: Link;
  readonly clock: Clock;
  readonly group: string;
  readonly queue: string;
  readonly queueTopic: string;
  readonly topics: readonly string[];
  readonly takes: (record: IncomingRecord) => boolean;
  readonly warn: (message: string) => void;
}

/** Where each partition ended when the first of the looks that belong together began. */
type Ends = ReadonlyMap<string, number>;

/**
 * Reads what a group has not finished with, as a member of it: nobody else is given the same meanwhile. What is acked is
 * noted with the group's place, so that what stands before it stays.
 */
export class KafkaBrowser implements Browser, RecordHolder {
  private reader?: GroupReader;
  private changed = (): void => {};
  private failure?: string;
  private isClosed = false;

  private constructor(
    private readonly parts: BrowserParts,
    private readonly ends: Ends,
    /** Partitions with something to be shown, by the end of it. */
    private readonly wanted: Ends,
  ) {}

  /** `rest`: the look that is gone on with. */
  static async open(parts: BrowserParts, rest?: Browser): Promise<KafkaBrowser> {
    const { link, group, topics, clock, takes, warn } = parts;
    const { client } = link;
    const wanted = new Map<string, number>();
    const now = new Map<string, number>();
    for (const topic of topics) {
      const places = new Map((await client.committed(group, topic)).map((place) => [keyOf(place), place.offset]));
      for (const { first, end, ...at } of await client.ranges(topic)) {
        const key = keyOf(at);
        now.set(key, end);
        const until = rest instanceof KafkaBrowser ? (rest.ends.get(key) ?? 0) : end;
        if (until > Math.max(first, places.get(key) ?? first)) wanted.set(key, until);
      }
    }
    const ends = rest instanceof KafkaBrowser ? rest.ends : now;
    const browser = new KafkaBrowser(parts, ends, wanted);
    if (wanted.size === 0) return browser;
    const placesIn = (topic: string): ReturnType<typeof client.committed> => client.committed(group, topic);
    browser.reader = await GroupReader.join(client, {
      group,
      topics,
      clock,
      takes,
      prefetch: MOST_AHEAD,
      warn,
      placesIn,
      ends,
    });
    browser.reader.attach(browser);
    return browser;
  }

  async next(): Promise<Delivery | undefined> {
    const { queue, queueTopic } = this.parts;
    for (;;) {
      const { reader } = this;
      if (!reader || this.isClosed) return undefined;
      if (this.failure !== undefined) throw new NotConnectedError(`The look into «${queue}» ended: ${this.failure}`);
      const taken = reader.next();
      if (taken) return new KafkaDelivery(taken, queue, queueTopic, this);
      if ([...this.wanted].every(([key, end]) => reader.hasShown(key, end))) return undefined;
      await this.change();
    }
  }

  async arrived(): Promise<number> {
    const { link, topics } = this.parts;
    let count = 0;
    for (const topic of topics)
      for (const { end, ...at } of await link.client.ranges(topic)) count += end - (this.ends.get(keyOf(at)) ?? 0);
    return Math.max(0, count);
  }

  async behind(): Promise<number> {
    const { link, group, topics } = this.parts;
    return lagOf(link.client, group, topics, { readers: this.reader ? [this.reader] : [] });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.wake();
    await this.reader?.leave();
  }

  ack({ taken }: KafkaDelivery): void {
    this.reader?.settle(taken);
  }

  release(): void {
    // With the end of the look.
  }

  wake(): void {
    this.changed();
  }

  /** What of the partition was not acked is another's. */
  revoked(): void {
    this.wake();
  }

  over(reason: string): void {
    this.failure = reason;
    this.wake();
  }

  private async change(): Promise<void> {
    const waiting = new AbortController();
    this.changed = () => waiting.abort();
    const { clock, link, queue } = this.parts;
    try {
      await link.answered(sleep(clock, SILENT_MS, waiting.signal));
      if (!waiting.signal.aborted)
        throw new NotConnectedError(`Kafka has given nothing of «${queue}» for ${SILENT_MS / 1_000} s`);
    } finally {
      waiting.abort();
    }
  }
}
