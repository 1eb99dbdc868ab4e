import { type Clock, systemClock } from '../clock/clock.js';
import type { Change, CoordinationStore, CoordinationStoreFactory } from '../coordination/coordination-store.js';
import { type Found, OptimisticChanges, type VersionedEntries } from '../coordination/optimistic-changes.js';
import { CoordinationStoreError } from '../errors/coordination-errors.js';
import { errorMessage } from '../errors/redact.js';
import { Bucket } from '../transports/nats/bucket.js';
import { bucketPlace, type NatsStoreOptions } from '../transports/nats/bucket-options.js';

/**
 * Coordinates all processes that share a bucket of JetStream's key-value store. The clock that counts is the server's, as
 * exact as a message takes. @throws InvalidOptionError
 */
export function natsCoordinationStore(options: NatsStoreOptions = {}): CoordinationStoreFactory {
  const place = bucketPlace('natsCoordinationStore', options, 'messaging-coordination');
  return {
    kind: 'nats',
    create: ({ clock }) => {
      const entries = new NatsEntries(new Bucket(place, clock), clock);
      return new NatsCoordinationStore(entries, new OptimisticChanges(entries, clock, place.waitMs));
    },
  };
}

/** Others are looked at for each entry that is new, so that what is over does not pile up. */
const TIDY_STEPS = 2;

/** An entry is known by its revision. Its end stands before its state: servers before 2.11 end no entry by themselves. */
class NatsEntries implements VersionedEntries<number> {
  /** Where the next look at others begins, and how many are due. */
  private cursor = 1;
  private looks = 0;
  /** What was the newest entry when the looks began anew: what is written meanwhile does not lead them on and on. */
  private passEnd = 0;
  private newest = 0;
  private tidying: Promise<void> | undefined;
  private closed = false;

  constructor(
    private readonly bucket: Bucket,
    private readonly clock: Clock,
  ) {}

  /** A server that is down is no reason not to start. @throws CoordinationStoreError for what waiting cannot cure */
  async open(): Promise<void> {
    try {
      await this.bucket.open();
    } catch (error) {
      if (Bucket.isHopeless(error)) throw this.failure(errorMessage(error));
    }
  }

  async read(key: string): Promise<Found<number>> {
    return this.told(async () => {
      const entry = await this.bucket.get(key);
      // Read later, it is never before what others have written by theirs.
      const now = await this.now();
      return { now, state: entry && stateOf(entry.value, now), version: entry?.revision ?? 0 };
    });
  }

  async write(
    key: string,
    version: number,
    state: string | null,
    keepMs: number,
    now: number,
  ): Promise<Found<number> | undefined> {
    return this.told(async () => {
      if (state === null) {
        if (version === 0 || (await this.bucket.remove(version))) return undefined;
        const found = await this.read(key);
        if (found.version === version) throw this.failure('the server does not remove what is over');
        return found;
      }
      const revision = await this.bucket.put(key, version, `${now + keepMs} ${state}`);
      if (revision === undefined) return this.read(key);
      this.newest = revision;
      if (version === 0) this.tidyLater();
      return undefined;
    });
  }

  failure(reason: string): CoordinationStoreError {
    return new CoordinationStoreError(`The coordination store in ${this.bucket.title}, failed: ${reason}`);
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.tidying;
    await this.bucket.close();
  }

  /** Clocks of machines differ: what counts is the server's, but for tests that move their own. */
  private async now(): Promise<number> {
    return this.clock === systemClock ? this.bucket.now() : this.clock.now();
  }

  private tidyLater(): void {
    this.looks += TIDY_STEPS;
    if (!this.closed) this.tidying ??= this.tidy().finally(() => (this.tidying = undefined));
  }

  /** It never rejects: others come to what this one has left. */
  private async tidy(): Promise<void> {
    try {
      for (; this.looks > 0 && !this.closed; this.looks--) {
        const found = await this.bucket.next(this.cursor);
        if (found && found.revision <= this.passEnd) this.cursor = found.revision + 1;
        else [this.cursor, this.passEnd] = [1, this.newest];
        if (found && found.value !== '' && stateOf(found.value, await this.now()) === undefined)
          await this.bucket.remove(found.revision);
      }
    } catch {
      this.looks = 0;
    }
  }

  private async told<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw error instanceof CoordinationStoreError ? error : this.failure(errorMessage(error));
    }
  }
}

class NatsCoordinationStore implements CoordinationStore {
  constructor(
    private readonly entries: NatsEntries,
    private readonly changes: OptimisticChanges<number>,
  ) {}

  open(): Promise<void> {
    return this.entries.open();
  }

  change<T>(key: string, change: Change<T>): Promise<T> {
    return this.changes.change(key, change);
  }

  async close(): Promise<void> {
    await this.changes.settled();
    await this.entries.close();
  }
}

/** The state, unless that is over. */
function stateOf(value: string, now: number): string | undefined {
  const end = value.indexOf(' ');
  return Number(value.slice(0, end)) > now ? value.slice(end + 1) : undefined;
}
