import { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import { sleep } from '../../clock/sleep.js';
import { RestartPauses } from '../../transport/restart-pauses.js';
import type { SubscribeHandlers, TransportEnvironment, TransportSubscription } from '../../transport/transport.js';
import type { SupervisedConnection } from '../kit/supervised-connection.js';
import { describe } from './broker-errors.js';
import type { Link } from './link.js';
import { PullSession, type SessionOptions } from './pull-session.js';

export interface ConsumerOptions extends Omit<SessionOptions, 'handlers' | 'clock' | 'created'> {
  readonly connection: SupervisedConnection<Link>;
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
  private readonly pauses: RestartPauses;
  /** It could not be started at the last attempt. */
  private failing = false;
  private readonly stopping = new AbortController();

  constructor(private readonly options: ConsumerOptions) {
    const { clock, reconnect, random } = options.environment;
    this.pauses = new RestartPauses(reconnect, clock, random);
  }

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
        if (this.isWanted()) this.interrupted(connection.redact(reason));
        continue;
      }
      if (this.pauses.failures > 0) await sleep(environment.clock, this.pauses.nextMs, signal);
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
    this.failing = false;
    this.pauses.began();
    if (this.wanted === 'consuming') {
      this.setConsuming(true);
      session.consume();
    }
  }

  /** Its session ended by itself. One that ends without the connection may end again at once. */
  private interrupted(reason: string): void {
    const { queue } = this.options;
    if (this.stumbled(reason) === 2)
      this.warn(`Consuming from «${queue}» ends again and again, trying again with growing pauses: ${reason}`);
  }

  private failed(error: unknown): void {
    const { connection, queue } = this.options;
    const reason = connection.redact(describe(error));
    this.stumbled(reason);
    if (this.failing) return;
    this.failing = true;
    this.warn(`Cannot consume from «${queue}», trying again: ${reason}`);
  }

  /** Tells how often it has in a row. Without a connection the waiting ends when it is back: that is supervised elsewhere. */
  private stumbled(reason: string): number {
    const { pauses } = this;
    if (this.options.connection.current) pauses.failed();
    else pauses.reset();
    this.setConsuming(false, pauses.failures > 1 ? `${reason} (${pauses.failures} times in a row)` : reason);
    return pauses.failures;
  }

  private warn(message: string): void {
    this.options.environment.onEvent({ type: 'warning', message });
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
