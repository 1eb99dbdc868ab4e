import type { Authenticator, ConnectionOptions, MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import type * as Nats from '@nats-io/transport-node';
import { readFileSync } from 'node:fs';
import { BrokerConfigurationError } from '../errors/configuration-errors.js';
import { loadPeer } from '../errors/optional-peer.js';
import { NotConnectedError } from '../errors/publish-errors.js';
import { errorMessage, redactCredentials } from '../errors/redact.js';
import type { CancelTimer } from '../clock/clock.js';
import { reconnectDelay } from '../transport/reconnect-delay.js';
import { isOverWhatWasSent } from '../transports/nats/broker-errors.js';
import type { RequeueSettings } from './requeue-options.js';

type Loaded = Pick<typeof Nats, 'connect' | 'headers' | 'createInbox' | 'credsAuthenticator'>;

const PEER = { name: '@nats-io/transport-node', range: '^3.0.0', neededBy: 'The requeue service' };
const FIRST_CONNECT = { initial: 200, max: 5_000, jitter: 0.2 };
const CONNECT_TIMEOUT_MS = 5_000;
/** A server that hangs is noticed after two of these. */
const PING_INTERVAL_MS = 10_000;

/** What the link tells. `lost` and `up` alternate, beginning with `up`. */
export interface LinkEvents {
  up(connection: NatsConnection): void;
  /** `reason`: why the server ended it over something that it was sent, where it did. */
  lost(reason?: string): void;
  failed(error: Error): void;
}

/**
 * One connection to NATS: made again and again until it succeeds, and kept for ever. The client's own buffer is never
 * relied on: it forgets what it holds when the connection breaks.
 */
export class NatsLink {
  private loaded: Loaded | undefined;
  private current: NatsConnection | undefined;
  private up = false;
  private closed = false;
  /** What the server said before it ended the connection, where that was over something it was sent. */
  private verdict: string | undefined;
  private failures = 0;
  private cancelTimer: CancelTimer | undefined;

  constructor(
    private readonly settings: RequeueSettings,
    private readonly events: LinkEvents,
  ) {}

  /** The connection, while it stands. */
  get connection(): NatsConnection | undefined {
    return this.up ? this.current : undefined;
  }

  /**
   * Resolves when connected, or when the first attempt has failed; then it goes on by itself.
   * @throws MissingPeerError; BrokerConfigurationError when the server refuses the credentials, or their file is none
   */
  async open(): Promise<void> {
    this.loaded = await loadNats();
    this.checkCredentials();
    await this.connect(true);
  }

  newHeaders(): MsgHdrs {
    return this.loaded!.headers();
  }

  newInbox(): string {
    return this.loaded!.createInbox(this.settings.nats.inboxPrefix);
  }

  /** Ends it at once; what is still to be written should have been flushed. */
  async close(): Promise<void> {
    this.closed = true;
    this.up = false;
    this.cancelTimer?.();
    await this.current?.close();
  }

  private async connect(first: boolean): Promise<void> {
    let connection: NatsConnection;
    try {
      connection = await this.loaded!.connect(this.connectOptions());
    } catch (error) {
      if (first && isRefusal(error))
        throw new BrokerConfigurationError(
          `NATS at ${this.address} refuses the connection: ${errorMessage(error)}. Are the credentials right?`,
        );
      this.retry(error);
      return;
    }
    if (this.closed) return connection.close();
    this.failures = 0;
    this.current = connection;
    this.setUp(connection);
    void this.watch(connection);
  }

  private retry(error: unknown): void {
    if (this.closed) return;
    this.failures++;
    this.fail(`NATS at ${this.address} cannot be reached: ${errorMessage(error)}; trying again`, error);
    const wait = reconnectDelay(FIRST_CONNECT, this.failures, Math.random);
    this.cancelTimer = this.settings.clock.after(wait, () => void this.connect(false));
  }

  private async watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect')
        this.setDown(`The connection to NATS at ${status.server} is lost; connecting again`);
      else if (status.type === 'reconnect') this.setUp(connection);
      else if (status.type === 'error') {
        if (isOverWhatWasSent(status.error)) this.verdict = errorMessage(status.error);
        this.fail(`NATS says: ${errorMessage(status.error)}`, status.error);
      }
    }
    const reason = await connection.closed();
    if (this.closed) return;
    // The client has given up; this service does not.
    this.setDown('The connection to NATS was closed; connecting again');
    this.current = undefined;
    this.retry(reason ?? new Error('connection closed'));
  }

  private setUp(connection: NatsConnection): void {
    if (this.up || this.closed) return;
    this.up = true;
    this.events.up(connection);
  }

  private setDown(message: string): void {
    if (!this.up) return;
    this.up = false;
    const { verdict } = this;
    this.verdict = undefined;
    this.events.lost(verdict);
    this.fail(message);
  }

  private fail(message: string, cause?: unknown): void {
    this.events.failed(new NotConnectedError(redactCredentials(message), { cause }));
  }

  private get address(): string {
    return this.settings.addresses.servers.join(', ');
  }

  private connectOptions(): ConnectionOptions {
    const { addresses, credsFile, name, nats } = this.settings;
    const { user, password } = addresses;
    return {
      pingInterval: PING_INTERVAL_MS,
      timeout: CONNECT_TIMEOUT_MS,
      reconnectTimeWait: 250,
      reconnectJitter: 250,
      ...(user === undefined ? {} : { user, pass: password }),
      ...(credsFile === undefined ? {} : { authenticator: this.credentials(credsFile) }),
      ...nats,
      servers: addresses.servers,
      name,
      reconnect: true,
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
    };
  }

  /** Later a file that is being replaced may be missing for a moment, but one that is never there is a mistake. */
  private checkCredentials(): void {
    const { credsFile } = this.settings;
    if (credsFile === undefined) return;
    let file: Buffer;
    try {
      file = readFileSync(credsFile);
    } catch (error) {
      throw new BrokerConfigurationError(`The creds file ${credsFile} cannot be read: ${errorMessage(error)}`);
    }
    try {
      this.loaded!.credsAuthenticator(file)('');
    } catch {
      throw new BrokerConfigurationError(
        `${credsFile} is no creds file: it has a user's JWT and seed, as «nsc generate creds» writes them`,
      );
    }
  }

  /** Read at every connect, because such files are renewed. */
  private credentials(path: string): Authenticator {
    return (nonce) => this.loaded!.credsAuthenticator(readFileSync(path))(nonce);
  }
}

function isRefusal(error: unknown): boolean {
  const { name } = (error ?? {}) as { name?: string };
  return name === 'AuthorizationError' || name === 'UserAuthenticationExpiredError';
}

async function loadNats(): Promise<Loaded> {
  const loaded: Partial<Loaded> & { default?: Loaded } = await loadPeer(PEER, () => import('@nats-io/transport-node'));
  return loaded.connect ? (loaded as Loaded) : (loaded.default as Loaded);
}
