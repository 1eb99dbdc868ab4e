import type { NatsConnection } from '@nats-io/transport-node';
import { sleep } from '../../clock/sleep.js';
import { MessagingError } from '../../errors/messaging-error.js';
import { reconnectDelay, STEADY_AFTER_MS } from '../../transport/reconnect-delay.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import { Waiters } from '../../transport/waiters.js';
import type { Address } from './address.js';
import { connectionMisconfiguration, describe } from './broker-errors.js';
import type { Link } from './link.js';

/** How long a connection that is asked to close may take. */
const CLOSE_WITHIN_MS = 3_000;

export interface ConnectionListeners {
  /** Prepares a new connection. It is given up when this rejects, at the start for good where that is a misconfiguration. */
  prepare(connection: NatsConnection): Promise<Link>;
  opened(link: Link): void;
  /** It was open and is not any more, or could not be opened the first time. `reason` holds no credentials. */
  lost(reason: string): void;
  warning(message: string): void;
}

/** One connection that comes back for ever, until `close`. */
export class SupervisedConnection {
  private link?: Link;
  private failures = 0;
  private openedAt = -Infinity;
  private closing = false;
  private cancelRetry = (): void => {};
  private lastWarning?: string;
  private readonly waiters = new Waiters();
  /** Why there is no connection, or why the last one ended. Without credentials. */
  reason = 'not connected yet';

  constructor(
    private readonly name: string,
    private readonly address: Address,
    private readonly environment: TransportEnvironment,
    private readonly listeners: ConnectionListeners,
  ) {}

  /** The open connection, or undefined while there is none. */
  get current(): Link | undefined {
    return this.link;
  }

  get isClosed(): boolean {
    return this.closing;
  }

  redact(text: string): string {
    return this.address.redact(text);
  }

  /** One attempt; goes on in the background when nobody answers. Rejects on misconfiguration. */
  async start(): Promise<void> {
    try {
      await this.connect();
    } catch (error) {
      if (error instanceof MessagingError && !error.retryable) throw error;
      this.reason = this.redact(describe(error));
      this.listeners.lost(this.reason);
      this.retry();
    }
  }

  /** Resolves when the connection is open or closed for good, or `signal` is aborted: look at `current`. */
  whenOpen(signal: AbortSignal): Promise<void> {
    if (this.link || this.closing || signal.aborted) return Promise.resolve();
    return this.waiters.wait(signal);
  }

  /** Ends this connection without a word, where it is still the current one: it does not answer. */
  destroy({ connection }: Link, reason: string): void {
    if (this.link?.connection !== connection) return;
    void connection.reconnect().catch(() => {});
    this.ended(connection, reason);
  }

  async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    this.cancelRetry();
    this.waiters.wake();
    const { link } = this;
    this.link = undefined;
    if (link) await this.end(link.connection);
  }

  private async connect(): Promise<void> {
    let connection: NatsConnection;
    try {
      connection = await this.address.open(this.name);
    } catch (error) {
      throw connectionMisconfiguration(error, this.address) ?? error;
    }
    if (this.closing) return this.end(connection);
    this.watch(connection);
    await this.adopt(connection);
  }

  private async adopt(connection: NatsConnection): Promise<void> {
    let link: Link;
    try {
      const gone = connection.closed().then((error) => {
        throw error instanceof Error ? error : new Error('connection closed');
      });
      link = await Promise.race([this.listeners.prepare(connection), gone]);
    } catch (error) {
      void this.end(connection);
      throw error;
    }
    if (this.closing || connection.isClosed()) return this.end(connection).then(() => this.refuse(connection));
    this.link = link;
    this.openedAt = this.environment.clock.monotonic();
    this.lastWarning = undefined;
    this.listeners.opened(link);
    this.waiters.wake();
  }

  private refuse(connection: NatsConnection): void {
    if (!this.closing) throw new Error(`the connection to ${connection.getServer()} ended at once`);
  }

  private watch(connection: NatsConnection): void {
    void connection.closed().then((error) => {
      const reason = error instanceof Error ? this.redact(describe(error)) : 'connection closed';
      this.ended(connection, reason);
      if (this.address.client && !this.closing)
        this.warn('The connection given as «client» is closed for good: nothing is sent or received any more');
    });
    void this.follow(connection).catch(() => {});
  }

  /** A connection of the application's reconnects by itself: it is lost and found here, as it says. */
  private async follow(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (this.closing) return;
      if (status.type === 'error') this.warn(this.redact(describe(status.error)));
      else if (status.type === 'disconnect' && this.address.client) this.ended(connection, 'disconnected');
      else if (status.type === 'reconnect' && this.address.client) this.reopen(connection);
    }
  }

  private reopen(connection: NatsConnection): void {
    this.adopt(connection).catch((error: unknown) => {
      this.warn(this.redact(describe(error)));
      this.cancelRetry = this.afterPause(() => this.reopen(connection));
    });
  }

  private ended(connection: NatsConnection, reason: string): void {
    if (this.link?.connection !== connection) return;
    this.link = undefined;
    this.reason = reason;
    if (this.environment.clock.monotonic() - this.openedAt >= STEADY_AFTER_MS) this.failures = 0;
    this.listeners.lost(reason);
    if (!this.address.client) this.retry();
  }

  private retry(): void {
    if (this.closing) return;
    this.cancelRetry = this.afterPause(() => {
      this.connect().catch((error: unknown) => {
        this.warn(`Cannot connect to NATS at ${this.address.host}: ${this.redact(describe(error))}`);
        this.retry();
      });
    });
  }

  private afterPause(work: () => void): () => void {
    const { clock, reconnect, random } = this.environment;
    return clock.after(reconnectDelay(reconnect, ++this.failures, random), work);
  }

  /** Once per kind of trouble: a broker that is away for a day is one warning, not thousands. */
  private warn(message: string): void {
    if (message === this.lastWarning) return;
    this.lastWarning = message;
    this.listeners.warning(message);
  }

  /** What was sent gets to the server first, where it answers. */
  private async end(connection: NatsConnection): Promise<void> {
    const answered = new AbortController();
    const flushed = connection.isClosed() ? Promise.resolve() : connection.flush();
    const ended = flushed
      .then(() => (this.address.client ? undefined : connection.close()))
      .catch(() => undefined)
      .finally(() => answered.abort());
    await Promise.race([ended, sleep(this.environment.clock, CLOSE_WITHIN_MS, answered.signal)]);
    if (!this.address.client && !connection.isClosed()) void connection.close().catch(() => {});
  }
}
