import type { DirectMsgRequest, JetStreamManager, MsgRequest, StoredMsg, StreamConfig } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { answered } from '../../clock/answered.js';
import type { Clock } from '../../clock/clock.js';
import {
  BrokerConfigurationError,
  MissingPeerError,
  TopologyMismatchError,
} from '../../errors/configuration-errors.js';
import { apiCode, apiError, codeOf, connectionMisconfiguration, describe } from './connection/broker-errors.js';
import type { BucketPlace } from './bucket-options.js';
import { tokenOf } from './names.js';
import { loadNats, type NatsClient } from './connection/peers.js';

/** What is stored under a key; the revision is never used again. */
export interface BucketEntry {
  readonly revision: number;
  readonly value: string;
}

interface OpenBucket {
  readonly client: NatsClient;
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
}

/** What the server's clock was, by this process's own. */
interface Reading {
  readonly offset: number;
  readonly at: number;
}

/** What is told where somebody else wrote first. */
const WRONG_REVISION = /wrong last sequence/i;
/** The server's clock is read so often: it may have been set, or be another server's by now. */
const CLOCK_EVERY_MS = 60_000;
/** A reading that took longer is not exact, and another one may be better. */
const EXACT_MS = 100;
const MOST_READINGS = 3;
/** No key is called so. */
const CLOCK_KEY = '=time';

/**
 * A bucket of JetStream's key-value store: one entry per key, written only over the revision that was read. Connected when it
 * is needed, and again after a loss. Where a call rejects it may have been done.
 */
export class Bucket {
  private readonly stream: string;
  private readonly prefix: string;
  private opened: OpenBucket | undefined;
  private opening: Promise<OpenBucket> | undefined;
  private reading: Promise<Reading> | undefined;
  private closed = false;

  constructor(
    private readonly place: BucketPlace,
    private readonly clock: Clock,
  ) {
    this.stream = `KV_${place.bucket}`;
    this.prefix = `$KV.${place.bucket}.`;
  }

  /** `NATS at 10.0.0.1:4222, bucket «a»`. */
  get title(): string {
    return `NATS at ${this.place.address.host}, bucket «${this.place.bucket}»`;
  }

  /** Connects, and makes the bucket when it is missing. @throws what waiting cannot cure is told by `isHopeless` */
  async open(): Promise<void> {
    await this.link();
  }

  async get(key: string): Promise<BucketEntry | undefined> {
    return this.look({ last_by_subj: this.subjectOf(key) });
  }

  /** The next entry that was written since this revision, of whichever key. */
  async next(revision: number): Promise<BucketEntry | undefined> {
    // Servers have taken this since 2.9; the client names it for direct requests only.
    const query: DirectMsgRequest = { seq: revision, next_by_subj: `${this.prefix}>` };
    return this.look(query as MsgRequest);
  }

  /** Writes over this revision, 0 where there is none. @returns the new one; undefined: somebody came first */
  async put(key: string, revision: number, value: string): Promise<number | undefined> {
    return this.publish(key, value, revision);
  }

  /** Removes this revision. False: the server has not, for it is not there, or may not be removed. */
  async remove(revision: number): Promise<boolean> {
    const { manager } = await this.link();
    try {
      return await manager.streams.deleteMessage(this.stream, revision, false);
    } catch (error) {
      // Why is not told in the same way by all servers.
      if (codeOf(error) === undefined) throw this.failed(error);
      return false;
    }
  }

  /** The server's time, in milliseconds since the epoch, as exact as a message takes. */
  async now(): Promise<number> {
    const known = this.reading;
    // What is old is read again before it is used: a machine that slept has lost count.
    if (known && this.clock.monotonic() - (await known).at >= CLOCK_EVERY_MS && this.reading === known)
      this.reading = undefined;
    this.reading ??= this.read().catch((error: unknown) => {
      this.reading = undefined;
      throw error;
    });
    const { offset } = await this.reading;
    return Math.floor(this.clock.monotonic() + offset);
  }

  async close(): Promise<void> {
    this.closed = true;
    const { connection } = (await this.opening?.catch(() => undefined)) ?? this.opened ?? {};
    if (connection && !this.place.address.client && !connection.isClosed()) await connection.close();
  }

  /** What only somebody who changes something can cure. */
  static isHopeless(error: unknown): boolean {
    return (
      error instanceof BrokerConfigurationError ||
      error instanceof TopologyMismatchError ||
      error instanceof MissingPeerError
    );
  }

  private async read(): Promise<Reading> {
    let best: (Reading & { readonly took: number }) | undefined;
    for (let readings = 0; readings < MOST_READINGS && !(best && best.took <= EXACT_MS); readings++) {
      const before = this.clock.monotonic();
      await this.publish(CLOCK_KEY, '');
      // Or what another process has written since.
      const { time } = (await this.find({ last_by_subj: this.subjectOf(CLOCK_KEY) }))!;
      const at = this.clock.monotonic();
      const took = at - before;
      if (!best || took < best.took) best = { took, at, offset: time.getTime() - (before + at) / 2 };
    }
    return best!;
  }

  private async look(query: MsgRequest): Promise<BucketEntry | undefined> {
    const found = await this.find(query);
    return found && { revision: found.seq, value: Buffer.from(found.data).toString() };
  }

  private async find(query: MsgRequest): Promise<StoredMsg | undefined> {
    const { manager } = await this.link();
    try {
      return (await manager.streams.getMessage(this.stream, query)) ?? undefined;
    } catch (error) {
      throw this.failed(error);
    }
  }

  /** The new revision; undefined where another one was there. */
  private async publish(key: string, value: string, over?: number): Promise<number | undefined> {
    const { client, connection } = await this.link();
    const headers = client.headers();
    headers.set('Nats-Expected-Stream', this.stream);
    if (over !== undefined) headers.set('Nats-Expected-Last-Subject-Sequence', String(over));
    let told: { readonly seq?: number; readonly error?: { readonly description: string } };
    try {
      const bytes = Buffer.from(value);
      const answer = await connection.request(this.subjectOf(key), bytes, { headers, timeout: this.place.waitMs });
      told = answer.json();
    } catch (error) {
      throw this.failed(error);
    }
    if (told.seq !== undefined && !told.error) return told.seq;
    const { description = 'the server has not stored it' } = told.error ?? {};
    if (WRONG_REVISION.test(description)) return undefined;
    throw this.failed(new Error(description));
  }

  private async link(): Promise<OpenBucket> {
    if (this.closed) throw new Error('it is closed');
    if (this.opened && !this.opened.connection.isClosed()) return this.opened;
    this.opening ??= this.connect().finally(() => (this.opening = undefined));
    return this.opening;
  }

  private async connect(): Promise<OpenBucket> {
    const { address, waitMs } = this.place;
    const client = await loadNats();
    const connecting = address.open(`nestjs-messaging ${this.place.bucket}`);
    const late = (): void => {
      const closing = connecting.then((connection) => (address.client ? undefined : connection.close()));
      closing.catch(() => undefined);
    };
    let connection: NatsConnection | undefined;
    try {
      connection = await answered(connecting, { clock: this.clock, ms: waitMs }, late);
      const manager = await client.jetstreamManager(connection, { checkAPI: false, timeout: waitMs });
      await this.ensure(manager);
      return (this.opened = { client, connection, manager });
    } catch (error) {
      if (connection && !address.client) void connection.close().catch(() => undefined);
      if (Bucket.isHopeless(error)) throw error;
      throw connectionMisconfiguration(error, address) ?? this.failed(error);
    }
  }

  private async ensure({ streams }: JetStreamManager): Promise<void> {
    const { address, bucket, replicas, storage } = this.place;
    const wanted = {
      name: this.stream,
      subjects: [`${this.prefix}>`],
      max_msgs_per_subject: 1,
      // What is full refuses, and deletes nothing; what is removed leaves nothing behind.
      discard: 'new',
      deny_delete: false,
      max_age: 0,
      storage,
      num_replicas: replicas,
    } as const;
    try {
      const found = await streams.info(this.stream).catch((error: unknown) => {
        if (codeOf(error) === apiCode.streamNotFound) return streams.add(wanted as unknown as Partial<StreamConfig> & { name: string }); // prettier-ignore
        throw error;
      });
      const config = found.config as unknown as Record<string, unknown>;
      const differing = (['max_msgs_per_subject', 'discard', 'deny_delete', 'max_age'] as const)
        .filter(
          (name) => (config[name] ?? false) !== wanted[name] && !(config[name] === undefined && wanted[name] === 0),
        )
        .map((name) => `${name} is ${String(config[name])}, and has to be ${String(wanted[name])}`);
      if (storage === 'file' && config.storage === 'memory')
        differing.push('storage is memory, which does not survive the server, and has to be file');
      if (differing.length > 0)
        throw new TopologyMismatchError(
          `The bucket «${bucket}» is kept otherwise: ${differing.join('; ')}. Choose another «bucket»`,
        );
    } catch (error) {
      // Another process may make it at the same moment.
      if (codeOf(error) === apiCode.streamExists) return this.ensure({ streams } as JetStreamManager);
      throw apiError(error, `the bucket «${bucket}»`, (text) => address.redact(text));
    }
  }

  private subjectOf(key: string): string {
    return this.prefix + (key === CLOCK_KEY ? key : tokenOf(key));
  }

  private failed(error: unknown): Error {
    return new Error(this.place.address.redact(describe(error)));
  }
}
