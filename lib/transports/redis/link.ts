import { createHash, randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import type { Clock } from '../../clock/clock.js';
import { BrokerConfigurationError } from '../../errors/configuration-errors.js';
import { loadPeer } from '../../errors/optional-peer.js';
import { answered } from '../../clock/answered.js';
import { heartbeat } from '../../clock/heartbeat.js';
import type { Dialer, LinkEvents } from '../kit/supervised-connection.js';
import {
  connectionMisconfiguration,
  describe,
  isAnswer,
  isOverWhatWasSent,
  permissions,
  type Survey,
  surveyOf,
} from './server.js';
import type { Settings } from './options.js';
import type { Script } from './scripts.js';

/** How long a server may take to answer a heartbeat, and how often there is one. Milliseconds. */
const HEARTBEAT_MS = 10_000;
const END_WITHIN_MS = 3_000;
const CONNECTED_WITHIN_MS = 30_000;
/** Of a connection. */
const MOST_FAULTS = 5;

export type Client = Redis | Cluster;
type Value = string | number | Buffer;

/** A connection that everything is sent over, and one that hears what is new: they stand and fall together. */
export interface Link {
  /** Of the publisher on this link: what it has stored can be asked for by it. */
  readonly id: string;
  readonly client: Client;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  /** Runs a script. */
  run<T = unknown>(script: Script, keys: readonly string[], values?: readonly Value[]): Promise<T>;
  /** The same, with answers that hold bytes. */
  runForBytes<T = unknown>(script: Script, keys: readonly string[], values?: readonly Value[]): Promise<T>;
}

interface Opened extends Link {
  readonly subscriber: Redis | undefined;
  stopHeartbeat(): void;
}

/** What the declarations of the client leave out. */
type Scripting = Record<
  'eval' | 'evalsha' | 'evalBuffer' | 'evalshaBuffer',
  (text: string, ...args: Value[]) => Promise<unknown>
>;

interface Ioredis {
  readonly Redis: typeof Redis;
  readonly Cluster: typeof Cluster;
}

/** The only place that loads the client, when the first connection is made: it is an optional peer. */
async function loadClient(): Promise<Ioredis> {
  const peer = { name: 'ioredis', range: '^6.0.0', neededBy: 'The Redis transport' };
  const loaded = (await loadPeer(peer, () => import('ioredis'))) as unknown as Ioredis & { default?: Ioredis };
  return loaded.Redis ? loaded : loaded.default!;
}

export interface DialerOptions {
  readonly settings: Settings;
  readonly names: { readonly channel: string; readonly probe: string };
  readonly clock: Clock;
  readonly service: string;
  /** Queues have got something. Left out: nobody listens. */
  readonly notified?: (queues: readonly string[]) => void;
  readonly surveyed?: (survey: Survey) => void;
  /** What has to be done before the link is given out. */
  readonly prepare?: (link: Link) => Promise<void>;
}

/** Opens links to Redis. */
export class RedisDialer implements Dialer<Link> {
  constructor(private readonly options: DialerOptions) {}

  get name(): string {
    return `Redis at ${this.options.settings.address.host}`;
  }

  redact(text: string): string {
    return this.options.settings.address.redact(text);
  }

  describe(error: unknown): string {
    return this.redact(describe(error));
  }

  async open(_failures: number, on: LinkEvents<Link>): Promise<Link> {
    const { settings, clock, notified, surveyed, prepare } = this.options;
    const client = this.make(await loadClient());
    const faults: Error[] = [];
    // A client without a listener writes to the console, or ends the process.
    client.on('error', (error: Error) => void (faults.push(error) > MOST_FAULTS && faults.shift()));
    const link = this.linkOf(client, faults, on);
    try {
      // A node of a cluster that does not know its own address leaves its client waiting for ever.
      await answered(client.connect(), { clock, ms: CONNECTED_WITHIN_MS });
      const survey = await surveyOf(client, settings);
      await this.checkPermissions(link);
      if (notified) await this.listen(link, notified);
      await prepare?.(link);
      surveyed?.(survey);
      const ping = (): Promise<unknown> => Promise.all([client.ping(), link.subscriber?.ping()]);
      const failed = (error: unknown): void => this.destroy(link, this.describe(error), on);
      link.stopHeartbeat = heartbeat(clock, HEARTBEAT_MS, ping, failed);
      return link;
    } catch (error) {
      const said = [error, ...faults].find((one) => connectionMisconfiguration(one, settings.address));
      void this.end(link);
      if (said) throw connectionMisconfiguration(said, settings.address)!;
      throw /closed|refresh slots/.test((error as Error).message) ? (faults[0] ?? (error as Error)) : error;
    }
  }

  async end(link: Link): Promise<void> {
    const { client, subscriber } = link as Opened;
    (link as Opened).stopHeartbeat();
    const ended = Promise.allSettled([client.quit(), subscriber?.quit()]);
    await answered(ended, { clock: this.options.clock, ms: END_WITHIN_MS }).catch(() => {});
    cut(link as Opened);
  }

  destroy(link: Link, reason: string, on: LinkEvents<Link>): void {
    (link as Opened).stopHeartbeat();
    on.ended(link, reason);
    cut(link as Opened);
  }

  private make({ Redis, Cluster }: Ioredis): Client {
    const { settings, service } = this.options;
    const connectionName = service.replace(/[^!-~]/g, '_');
    const { lazyConnect, ...redisOptions } = { ...settings.address.config(), connectionName };
    if (!settings.cluster) return new Redis({ ...redisOptions, lazyConnect });
    const retry = { clusterRetryStrategy: () => null, retryDelayOnFailover: 0 };
    return new Cluster(settings.address.nodes(), { ...retry, lazyConnect, enableOfflineQueue: false, redisOptions });
  }

  private linkOf(client: Client, faults: Error[], on: LinkEvents<Link>): Opened {
    const subscriber = this.options.settings.cluster ? undefined : (client as Redis).duplicate();
    subscriber?.on('error', (error) => void (faults.push(error) > MOST_FAULTS && faults.shift()));
    const closed = new Promise<void>((resolve) => {
      for (const one of [client, subscriber]) one?.once('end', () => resolve());
    });
    let verdict: Error | undefined;
    const gone = (error?: Error): void => {
      link.stopHeartbeat();
      const reason = this.describe(verdict ?? faults.at(-1) ?? error ?? new Error('connection closed'));
      on.ended(link, reason, verdict !== undefined);
      cut(link);
    };
    const failed = (error: Error): never => {
      if (isOverWhatWasSent(error)) verdict ??= error;
      // A node that does not serve, or that is gone from a cluster: the client itself stays.
      else if (!isAnswer(error)) gone(error);
      throw error;
    };
    const run =
      (buffers: boolean): Link['run'] =>
      async (script, keys, values = []) => {
        script.sha ??= createHash('sha1').update(script.lua).digest('hex');
        const args = [keys.length, ...keys, ...values];
        const commands = client as unknown as Scripting;
        const ask = (text: string, isKnown: boolean): Promise<unknown> => {
          if (buffers) return isKnown ? commands.evalshaBuffer(text, ...args) : commands.evalBuffer(text, ...args);
          return isKnown ? commands.evalsha(text, ...args) : commands.eval(text, ...args);
        };
        return ask(script.sha, true)
          .catch((error: Error) => {
            if (!error.message.startsWith('NOSCRIPT')) throw error;
            return ask(script.lua, false);
          })
          .catch(failed) as Promise<never>;
      };
    const link: Opened = {
      id: randomUUID(),
      client,
      subscriber,
      closed,
      run: run(false),
      runForBytes: run(true),
      stopHeartbeat: () => {},
    };
    void closed.then(() => gone());
    return link;
  }

  private async listen(link: Opened, notified: (queues: readonly string[]) => void): Promise<void> {
    const subscriber = link.subscriber ?? (link.client as Cluster);
    subscriber.on('message', (_channel: string, text: string) => notified(text.split('\0')));
    if (link.subscriber) await link.subscriber.connect();
    await subscriber.subscribe(this.options.names.channel);
  }

  private async checkPermissions(link: Link): Promise<void> {
    const { names, settings } = this.options;
    const refused = await link.run<string[]>(permissions, [names.probe], [`${names.channel}`]);
    if (refused.length === 0) return;
    throw new BrokerConfigurationError(
      `Redis at ${settings.address.host}: the user lacks a permission for keys «{${settings.prefix}}:*» and their channel: ${refused.join('; ')}`,
    );
  }
}

/** Without a word to the server. */
function cut({ client, subscriber }: Opened): void {
  for (const one of [client, subscriber] as (Redis | undefined)[]) {
    const { stream } = (one ?? {}) as { stream?: { destroyed?: boolean; destroy?(): void } };
    // Else a timer of two seconds would wait for the close of a socket that is closed.
    if (stream?.destroyed || one?.status === 'end') continue;
    one?.disconnect();
    stream?.destroy?.();
  }
}
