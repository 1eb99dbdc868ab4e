import { sleep } from '../../clock/sleep.js';
import { MessagingError } from '../../errors/messaging-error.js';
import { reconnectDelay, STEADY_AFTER_MS } from '../../transport/reconnect-delay.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import { Waiters } from '../../transport/waiters.js';

/** What is told of links while they are being opened, and after. */
export interface LinkEvents<L> {
  /**
   * The link is gone, or does not serve for the moment. `reason` holds no credentials. `byBroker`: the broker has ended it
   * over something that it was sent, and says so.
   */
  ended(link: L, reason: string, byBroker?: boolean): void;
  /** Worth a log line. */
  warning(message: string): void;
}

/** Opens and ends links to one broker. */
export interface Dialer<L extends object> {
  /** `RabbitMQ at localhost:5672`, as it is now. */
  readonly name: string;
  /**
   * One attempt, all nodes included, after `failures` failed ones in a row. What was opened and is not returned is ended.
   * A rejection with a MessagingError that is not retryable says that waiting cannot cure it.
   */
  open(failures: number, on: LinkEvents<L>): Promise<L>;
  /** Ends a link after what was written on it. It is given up after a while, with `destroy`. */
  end(link: L): Promise<void>;
  /** Ends a link at once: nothing that was sent on it is under way any more. `on.ended` follows. */
  destroy(link: L, reason: string, on: LinkEvents<L>): void;
  /** The text of an error, without credentials. */
  describe(error: unknown): string;
  /** A text without credentials. */
  redact(text: string): string;
}

export interface ConnectionListeners<L> {
  opened(link: L): void;
  /** The link was open and is not any more, or could not be opened the first time. `reason` holds no credentials. */
  lost(reason: string): void;
  /** `reason`: connecting failed once more, because of this. */
  warning(message: string, reason?: string): void;
}

/** How a link ended: the broker refused what it was sent on it; by itself; or because this side gave it up. */
export type LinkEnd = 'refused' | 'broken' | 'destroyed';

/** So many links in a row that last for a moment only are no coincidence. */
const SUSPICIOUS = 3;
/** How long a link that is asked to end may take. */
const END_WITHIN_MS = 4_000;

/** One connection that comes back for ever, until `close`. */
export class SupervisedConnection<L extends object> {
  /** Why there is no connection, or why the last one ended. Without credentials. */
  reason = 'not connected yet';
  private link?: L;
  private lastEnd: LinkEnd = 'broken';
  private destroyed?: L;
  /** Links in a row that lasted for a moment and then ended by themselves. */
  private moments = 0;
  private failures = 0;
  private openedAt = -Infinity;
  private closing = false;
  private cancelRetry = (): void => {};
  private lastWarning?: string;
  /** Links that ended before they were handed over. */
  private readonly stillborn = new WeakSet<L>();
  private readonly waiters = new Waiters();
  private readonly events: LinkEvents<L> = {
    ended: (link, reason, byBroker) => this.ended(link, reason, byBroker),
    warning: (message) => this.warn(message),
  };

  constructor(
    protected readonly dialer: Dialer<L>,
    private readonly environment: Pick<TransportEnvironment, 'clock' | 'reconnect' | 'random'>,
    private readonly listeners: ConnectionListeners<L>,
  ) {}

  /** The open link; undefined while there is none, and from `close` on. */
  get current(): L | undefined {
    return this.link;
  }

  /** How the last link ended; undefined while there is one. */
  get ending(): LinkEnd | undefined {
    return this.link ? undefined : this.lastEnd;
  }

  /**
   * The last link ended over something that it was sent: the broker said so, or none lasts for longer than a moment. Its
   * words can be lost with the link, where that ends before everything was written.
   */
  get isSuspicious(): boolean {
    return !this.link && (this.lastEnd === 'refused' || this.moments >= SUSPICIOUS);
  }

  /** `close` was called: the connection does not come back. */
  get isClosed(): boolean {
    return this.closing;
  }

  describe(error: unknown): string {
    return this.dialer.describe(error);
  }

  redact(text: string): string {
    return this.dialer.redact(text);
  }

  /** One attempt; goes on in the background when nobody answers. Rejects on a misconfiguration. */
  async start(): Promise<void> {
    try {
      await this.connect();
    } catch (error) {
      if (error instanceof MessagingError && !error.retryable) throw error;
      this.reason = this.describe(error);
      this.listeners.lost(this.reason);
      this.retry();
    }
  }

  /** Resolves when the connection is open or closed for good, or `signal` is aborted: look at `current`. */
  whenOpen(signal: AbortSignal): Promise<void> {
    if (this.link || this.closing || signal.aborted) return Promise.resolve();
    return this.waiters.wait(signal);
  }

  /** Ends the link without a handshake: the broker does not answer. A link that is given must still be the current one. */
  destroy(reason: string, link?: L): void {
    const gone = link ?? this.link;
    if (!gone || gone !== this.link) return;
    this.destroyed = gone;
    this.dialer.destroy(gone, reason, this.events);
  }

  async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    this.cancelRetry();
    const { link } = this;
    this.link = undefined;
    this.waiters.wake();
    if (link) await this.end(link);
  }

  private async connect(): Promise<void> {
    const link = await this.dialer.open(this.failures, this.events);
    if (this.closing) return this.end(link);
    if (this.stillborn.has(link)) throw new Error(`the connection to ${this.dialer.name} ended at once`);
    this.link = link;
    this.openedAt = this.environment.clock.monotonic();
    this.lastWarning = undefined;
    this.listeners.opened(link);
    this.waiters.wake();
  }

  private ended(link: L, reason: string, byBroker = false): void {
    if (this.link !== link) return void this.stillborn.add(link);
    this.link = undefined;
    this.reason = reason;
    this.lastEnd = byBroker ? 'refused' : this.destroyed === link ? 'destroyed' : 'broken';
    const wasSteady = this.environment.clock.monotonic() - this.openedAt >= STEADY_AFTER_MS;
    if (wasSteady) this.failures = 0;
    this.moments = wasSteady || this.lastEnd === 'destroyed' ? 0 : this.moments + 1;
    this.listeners.lost(reason);
    this.retry();
  }

  private retry(): void {
    if (this.closing) return;
    const { clock, reconnect, random } = this.environment;
    this.cancelRetry = clock.after(reconnectDelay(reconnect, ++this.failures, random), () => {
      this.connect().catch((error: unknown) => {
        const reason = this.describe(error);
        this.warn(`Cannot connect to ${this.dialer.name}: ${reason}`, reason);
        this.retry();
      });
    });
  }

  private async end(link: L): Promise<void> {
    const over = new AbortController();
    void this.dialer.end(link).finally(() => over.abort());
    await sleep(this.environment.clock, END_WITHIN_MS, over.signal);
    if (!over.signal.aborted) this.dialer.destroy(link, 'no answer to the closing of the connection', this.events);
  }

  /** Once per kind of trouble: a broker that is away for a day is one warning, not thousands. */
  private warn(message: string, reason?: string): void {
    // Whatever fails now fails because we are closing.
    if (this.closing || message === this.lastWarning) return;
    this.lastWarning = message;
    this.listeners.warning(message, reason);
  }
}
