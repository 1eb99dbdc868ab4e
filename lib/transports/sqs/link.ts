import { setMaxListeners } from 'node:events';
import type * as SnsSdk from '@aws-sdk/client-sns';
import type * as Client from '@aws-sdk/client-sqs';
import type { SQSClient, SQSClientConfig } from '@aws-sdk/client-sqs';
import type { CancelTimer, Clock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import type { BrokerConfigurationError } from '../../errors/configuration-errors.js';
import { loadPeer } from '../../errors/optional-peer.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import type { Dialer, LinkEvents } from '../kit/supervised-connection.js';
import { describe, isAnswer, isDenied, misconfiguration, nameOf } from './errors.js';
import type { Settings } from './options.js';

type Sdk = typeof Client;

/** A socket that breaks is no outage: so long until each further try, in milliseconds. */
const TRY_AGAIN_MS = [30, 150];
const CONNECT_WITHIN_MS = 5_000;
const ANSWER_WITHIN_MS = 15_000;
/** Beyond what SQS is asked to wait for. */
const POLL_MARGIN_MS = 10_000;
/** A poll holds its socket as long as it waits: there are as many as there are polls. */
const MOST_SOCKETS = 10_000;

/**
 * SQS, as long as it answers. There is no connection: requests come one by one. The polls have a client of their own: on a
 * shared one a send waits for a free socket until a poll is over.
 */
export interface Link {
  readonly sdk: Sdk;
  /** For what this package does not do itself. */
  readonly client: SQSClient;
  /** Asks; a request that gets no answer is sent again, and ends the link in the end. */
  readonly ask: <Output>(command: object) => Promise<Output>;
  /** The same for a poll. */
  poll<Output>(command: object): Promise<Output>;
  /** SNS, where topics are its. */
  readonly sns?: { readonly sdk: typeof SnsSdk; readonly ask: Link['ask'] };
  /** What is under way is cut off when the link ends. */
  readonly signal: AbortSignal;
}

interface Opened extends Link {
  readonly over: AbortController;
  readonly clients: Clients;
  /** Why SQS will not answer as this process is configured. */
  refused?: BrokerConfigurationError;
  /** Nothing was answered for as long as a heartbeat is apart. */
  isIdle(): boolean;
  stopHeartbeat(): void;
}

export interface DialerOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  /** What has to be done before the link is given out. */
  readonly prepare: (link: Link) => Promise<void>;
}

interface Clients {
  readonly sdk: Sdk;
  readonly requests: SQSClient;
  readonly polls: SQSClient;
  readonly sns?: { readonly sdk: typeof SnsSdk; readonly client: SnsSdk.SNSClient };
}

/**
 * Makes sure that SQS answers, and tells when it does not any more. Each link has clients of its own: sockets that were kept
 * from before an outage may be dead, and a client that has asked for credentials once does not ask again.
 */
export class SqsDialer implements Dialer<Link> {
  constructor(private readonly options: DialerOptions) {}

  get name(): string {
    return `SQS at ${this.options.settings.host}`;
  }

  redact(text: string): string {
    return this.options.settings.redact(text);
  }

  describe(error: unknown): string {
    return this.redact(describe(error));
  }

  async open(_failures: number, on: LinkEvents<Link>): Promise<Link> {
    const { settings, prepare } = this.options;
    const link = this.linkOf(await this.load(), on);
    try {
      await this.ping(link);
      await prepare(link);
      // Between events Lambda freezes the process: what is asked then fails, though SQS is there.
      if (!settings.lambda) link.stopHeartbeat = this.heartbeat(link);
      return link;
    } catch (error) {
      void this.end(link);
      throw link.refused ?? error;
    }
  }

  end(link: Link): Promise<void> {
    const opened = link as Opened;
    const { requests, polls, sns } = opened.clients;
    opened.stopHeartbeat();
    opened.over.abort();
    for (const client of [requests, polls, sns?.client]) client?.destroy();
    return Promise.resolve();
  }

  destroy(link: Link, reason: string, on: LinkEvents<Link>): void {
    on.ended(link, reason);
    void this.end(link);
  }

  /** Whoever may not list queues is known all the same. */
  async ping(link: Link): Promise<void> {
    const { prefix: QueueNamePrefix } = this.options.settings;
    await link.ask(new link.sdk.ListQueuesCommand({ QueueNamePrefix, MaxResults: 1 })).catch((error: unknown) => {
      if (!isDenied(error)) throw error;
    });
  }

  private async load(): Promise<Clients> {
    const { settings } = this.options;
    const peer = { name: '@aws-sdk/client-sqs', range: '^3.1000.0', neededBy: 'The SQS transport' };
    const sdk = await loadPeer(peer, () => import('@aws-sdk/client-sqs'));
    const client = (requestTimeout: number): SQSClient =>
      new sdk.SQSClient({ ...settings.config(), requestHandler: handlerOf(settings.config(), requestTimeout) });
    const polls = client(settings.waitTime + POLL_MARGIN_MS);
    return { sdk, requests: client(ANSWER_WITHIN_MS), polls, sns: await this.loadSns() };
  }

  private async loadSns(): Promise<Clients['sns']> {
    const { settings } = this.options;
    if (settings.topics !== 'sns') return undefined;
    const peer = { name: '@aws-sdk/client-sns', range: '^3.1000.0', neededBy: '`topics: "sns"` of the SQS transport' };
    const sdk = await loadPeer(peer, () => import('@aws-sdk/client-sns'));
    const config = settings.snsConfig();
    const requestHandler = handlerOf(config, ANSWER_WITHIN_MS);
    return { sdk, client: new sdk.SNSClient({ ...(config as SnsSdk.SNSClientConfig), requestHandler }) };
  }

  private linkOf(clients: Clients, on: LinkEvents<Link>): Opened {
    const { sdk, requests, polls, sns } = clients;
    const { clock, settings } = this.options;
    const over = new AbortController();
    setMaxListeners(0, over.signal);
    let busyUntil = 0;
    const send = async (client: { send: SQSClient['send'] }, command: object): Promise<never> => {
      for (let tries = 0; ; tries++) {
        try {
          const answer = await client.send(command as never, { abortSignal: over.signal });
          busyUntil = clock.monotonic() + settings.heartbeat;
          return answer as never;
        } catch (error) {
          if (over.signal.aborted) throw error;
          link.refused = misconfiguration(error, settings.host);
          if (link.refused) {
            this.destroy(link, link.refused.message, on);
            throw new NotConnectedError(link.refused.message);
          }
          if (isAnswer(error)) throw error;
          if (tries === TRY_AGAIN_MS.length || nameOf(error) === 'TimeoutError') {
            this.destroy(link, this.describe(error), on);
            throw error;
          }
          await sleep(clock, TRY_AGAIN_MS[tries], over.signal);
        }
      }
    };
    const link: Opened = {
      sdk,
      client: requests,
      clients,
      over,
      signal: over.signal,
      ask: (command) => send(requests, command),
      poll: (command) => send(polls, command),
      ...(sns && { sns: { sdk: sns.sdk, ask: (command) => send(sns.client as never, command) } }),
      isIdle: () => clock.monotonic() >= busyUntil,
      stopHeartbeat: () => {},
    };
    return link;
  }

  /** Who has nothing to do would never hear of an outage. */
  private heartbeat(link: Opened): () => void {
    const { clock, settings } = this.options;
    let cancel: CancelTimer = () => {};
    const beat = (): void => {
      cancel = clock.after(settings.heartbeat, () => void look().then(beat, beat), { background: true });
    };
    const look = async (): Promise<void> => {
      if (!link.over.signal.aborted && link.isIdle()) await this.ping(link);
    };
    beat();
    return () => cancel();
  }
}

function handlerOf({ requestHandler }: SQSClientConfig, requestTimeout: number): SQSClientConfig['requestHandler'] {
  // One that is made already is its maker's.
  if (requestHandler && typeof (requestHandler as { handle?: unknown }).handle === 'function') return requestHandler;
  const agent = { keepAlive: true, maxSockets: MOST_SOCKETS };
  return {
    httpAgent: agent,
    httpsAgent: agent,
    connectionTimeout: CONNECT_WITHIN_MS,
    requestTimeout,
    throwOnRequestTimeout: true,
    ...(requestHandler as object),
  };
}
