import type { ChannelModel } from 'amqplib';
import type { TransportEnvironment } from '../../transport/transport.js';
import { Waiters } from '../../transport/waiters.js';
import { MessagingError } from '../../errors/messaging-error.js';
import type { Address } from './address.js';
import { destroySocket, gatherWrites, isBlocked, type AmqpError } from './amqplib.js';
import { reconnectDelay, STEADY_AFTER_MS } from '../../transport/reconnect-delay.js';
import { connectionMisconfiguration, describe, isReply } from './broker-errors.js';

/** How long a connection that reported an error, or is asked to close, may take to end before its socket is destroyed. */
const END_WITHIN_MS = 5_000;

export interface ConnectionListeners {
  opened(model: ChannelModel): void;
  /** It was open and is not any more, or could not be opened the first time. `reason` holds no credentials. */
  lost(reason: string): void;
  blocked?(reason: string): void;
  unblocked?(): void;
  warning(message: string): void;
}

/** One connection that comes back for ever, until `close`. */
export class SupervisedConnection {
  private model?: ChannelModel;
  private address: Address;
  private failures = 0;
  private closing = false;
  private cancelRetry = (): void => {};
  private lastWarning?: string;
  /** Why there is no connection, or why the last one ended. Without credentials. */
  reason = 'not connected yet';
  /** What the broker said when it ended the last connection by itself; undefined for any other end, and while one is open. */
  endedBy?: AmqpError;
  private openedAt = -Infinity;
  private readonly waiters = new Waiters();

  constructor(
    private readonly name: string,
    private readonly addresses: readonly Address[],
    private readonly environment: TransportEnvironment,
    private readonly listeners: ConnectionListeners,
  ) {
    this.address = addresses[0];
  }

  /** The open connection, or undefined while there is none. */
  get current(): ChannelModel | undefined {
    return this.model;
  }

  /** `close` was called: it does not come back. */
  get isClosed(): boolean {
    return this.closing;
  }

  get host(): string {
    return this.address.host;
  }

  redact(text: string): string {
    return this.addresses.reduce((clean, address) => address.redact(clean), text);
  }

  /** One round over the addresses; goes on in the background when nobody answers. Rejects on misconfiguration. */
  async start(): Promise<void> {
    try {
      await this.connect();
    } catch (error) {
      if (error instanceof MessagingError) throw error;
      this.reason = this.redact(describe(error));
      this.listeners.lost(this.reason);
      this.retry();
    }
  }

  /** Resolves when the connection is open or closed for good, or `signal` is aborted: look at `current`. */
  whenOpen(signal: AbortSignal): Promise<void> {
    if (this.model || this.closing || signal.aborted) return Promise.resolve();
    return this.waiters.wait(signal);
  }

  /** Ends the connection without a handshake: nothing that was sent on it is under way any more. */
  destroy(reason: string): void {
    if (this.model) destroySocket(this.model, reason);
  }

  async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    this.cancelRetry();
    this.waiters.wake();
    const model = this.model;
    if (model) await this.end(model);
  }

  /** Tries each address once. A misconfiguration counts when no address worked. */
  private async connect(): Promise<void> {
    let failure: unknown;
    for (const address of this.rotation()) {
      try {
        const model = await address.open(this.name);
        this.address = address;
        return await this.adopt(model);
      } catch (error) {
        failure = connectionMisconfiguration(error, address) ?? (failure instanceof MessagingError ? failure : error);
      }
    }
    throw failure;
  }

  private rotation(): readonly Address[] {
    const start = this.failures % this.addresses.length;
    return [...this.addresses.slice(start), ...this.addresses.slice(0, start)];
  }

  private async adopt(model: ChannelModel): Promise<void> {
    let reason: string | undefined;
    let failure: AmqpError | undefined;
    let cancelDeadline = (): void => {};
    model.on('error', (error: AmqpError) => {
      failure ??= error;
      reason ??= this.redact(describe(error));
      cancelDeadline();
      cancelDeadline = this.environment.clock.after(END_WITHIN_MS, () =>
        destroySocket(model, 'no answer to the closing of the connection'),
      );
    });
    model.on('close', (error?: Error) => {
      cancelDeadline();
      if (reason !== undefined) destroySocket(model, reason);
      this.ended(model, reason ?? (error ? this.redact(describe(error)) : 'closed'), failure);
    });
    model.on('handler-error', (error: Error) => this.warn(`A listener failed: ${error.message}`));
    model.on('blocked', (text: string) => this.listeners.blocked?.(text));
    model.on('unblocked', () => this.listeners.unblocked?.());
    if (this.closing) return this.end(model);
    gatherWrites(model);
    this.model = model;
    this.endedBy = undefined;
    this.openedAt = this.environment.clock.monotonic();
    this.lastWarning = undefined;
    this.listeners.opened(model);
    if (isBlocked(model)) this.listeners.blocked?.('blocked by the broker');
    this.waiters.wake();
  }

  private ended(model: ChannelModel, reason: string, failure: AmqpError | undefined): void {
    if (this.model !== model) return;
    this.model = undefined;
    this.reason = reason;
    if (isReply(failure)) this.endedBy = failure;
    if (this.environment.clock.monotonic() - this.openedAt >= STEADY_AFTER_MS) this.failures = 0;
    this.listeners.lost(reason);
    this.retry();
  }

  private retry(): void {
    if (this.closing) return;
    this.failures++;
    const { clock, reconnect, random } = this.environment;
    this.cancelRetry = clock.after(reconnectDelay(reconnect, this.failures, random), () => {
      this.connect().catch((error: unknown) => {
        this.warn(`Cannot connect to RabbitMQ at ${this.host}: ${this.redact(describe(error))}`);
        this.retry();
      });
    });
  }

  /** Once per kind of trouble: a broker that is away for a day is one warning, not thousands. */
  private warn(message: string): void {
    if (message === this.lastWarning) return;
    this.lastWarning = message;
    this.listeners.warning(message);
  }

  private async end(model: ChannelModel): Promise<void> {
    const cancel = this.environment.clock.after(END_WITHIN_MS, () =>
      destroySocket(model, 'no answer to the closing of the connection'),
    );
    // It rejects when the connection is already ending; `close` follows in any case, at the latest with the socket.
    const ended = new Promise<void>((resolve) => model.once('close', () => resolve()));
    await Promise.race([model.close().catch(() => {}), ended]);
    cancel();
  }
}
