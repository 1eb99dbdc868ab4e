import { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import { sleep } from '../../clock/sleep.js';
import { reconnectDelay } from '../../transport/reconnect-delay.js';
import type { SubscribeHandlers, TransportEnvironment, TransportSubscription } from '../../transport/transport.js';
import { describe } from './broker-errors.js';
import type { Link } from './link.js';
import { PullSession, type SessionOptions } from './pull-session.js';
import type { SupervisedConnection } from './supervised-connection.js';

export interface ConsumerOptions extends Omit<SessionOptions, 'handlers' | 'clock' | 'created'> {
  readonly connection: SupervisedConnection;
  readonly environment: TransportEnvironment;
  readonly handlers: SubscribeHandlers;
  /** Makes the queue exist and tells since when it does; rejects with a MessagingError when that can never be. */
  declare(link: Link): Promise<string>;
  /** It was stopped, and nothing of it is unsettled any more. */
  ended(): void;
}

/** One subscription, kept consuming: after every loss it declares and consumes again, with growing pauses, until `stop`. */
export class Consumer implements TransportSubscription {
  consuming = false;
  private wanted: 'consuming' | 'paused' | 'stopped' = 'consuming';
  private session?: PullSession;
  private previous?: PullSession;
  private failures = 0;
  private readonly stopping = new AbortController();

  constructor(private readonly options: ConsumerOptions) {}

  /** Resolves when consuming or, when that is not possible now, at once. Rejects on a misconfiguration. */
  async start(): Promise<void> {
    if (this.options.connection.current) {
      try {
        await this.attach();
      } catch (error) {
        if (error instanceof MessagingError && !error.retryable) {
          this.wanted = 'stopped';
          throw error;
        }
        this.failed(error);
      }
    }
    void this.supervise();
  }

  /** Without a first attempt whose failure anybody hears of. */
  startInBackground(): void {
    void this.supervise();
  }

  pause(): void {
    if (this.wanted !== 'consuming') return;
    this.wanted = 'paused';
    this.session?.pause();
    this.setConsuming(false, 'paused');
  }

  resume(): void {
    if (this.wanted !== 'paused') return;
    this.wanted = 'consuming';
    if (!this.session) return;
    this.setConsuming(true);
    this.session.consume();
  }

  attachAgain(reason: string): void {
    const { session } = this;
    // What is on its way still comes, and is given back by the next session.
    if (this.wanted === 'consuming') void session?.stop().then(() => session.end(reason));
  }

  async stop(): Promise<void> {
    if (this.wanted !== 'stopped') {
      this.wanted = 'stopped';
      this.stopping.abort();
      this.setConsuming(false, 'stopped');
    }
    const { session } = this;
    await session?.stop();
    session?.finish();
  }

  /** Stops, and gives back what is unsettled. */
  async close(): Promise<void> {
    const stopped = this.stop();
    await this.session?.close();
    await stopped;
  }

  /** The connection is gone. */
  disconnected(reason: string): void {
    this.session?.end(reason);
  }

  private async supervise(): Promise<void> {
    const { connection, environment } = this.options;
    const { signal } = this.stopping;
    while (this.isWanted() || this.session) {
      const { session } = this;
      if (session) {
        const reason = await session.ended;
        this.previous = session;
        this.session = undefined;
        if (this.isWanted()) this.setConsuming(false, connection.redact(reason));
        // What ends without the connection may end again at once.
        if (connection.current) this.failures++;
        continue;
      }
      if (this.failures > 0)
        await sleep(
          environment.clock,
          reconnectDelay(environment.reconnect, this.failures, environment.random),
          signal,
        );
      await connection.whenOpen(signal);
      if (this.isWanted()) await this.attach().catch((error: unknown) => this.failed(error));
    }
    this.options.ended();
  }

  private async attach(): Promise<void> {
    const { connection, environment } = this.options;
    const link = connection.current;
    if (!link) throw new NotConnectedError('Not connected to NATS');
    const created = await this.options.declare(link);
    if (connection.current !== link || !this.isWanted()) return;
    const session = new PullSession(link, { ...this.options, created, clock: environment.clock });
    // Before anything can arrive: whoever stops or pauses from within the first delivery must find it.
    this.session = session;
    if (this.previous) await session.recover(this.previous);
    this.previous = undefined;
    if (this.session !== session) return;
    this.failures = 0;
    if (this.wanted === 'consuming') {
      this.setConsuming(true);
      session.consume();
    }
  }

  private failed(error: unknown): void {
    const { connection, environment, queue } = this.options;
    // Without a connection the waiting ends when it is back: that is supervised elsewhere.
    this.failures = connection.current ? this.failures + 1 : 0;
    const reason = connection.redact(describe(error));
    this.setConsuming(false, reason);
    if (this.failures === 1)
      environment.onEvent({ type: 'warning', message: `Cannot consume from «${queue}», trying again: ${reason}` });
  }

  private setConsuming(consuming: boolean, reason?: string): void {
    if (this.consuming === consuming && consuming) return;
    this.consuming = consuming;
    this.options.handlers.state(consuming, reason);
  }

  private isWanted(): boolean {
    return this.wanted !== 'stopped' && !this.options.connection.isClosed;
  }
}
