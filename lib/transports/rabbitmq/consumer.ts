import type { SubscribeHandlers, TransportEnvironment, TransportSubscription } from '../../transport/transport.js';
import { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import { sleep } from '../../clock/sleep.js';
import { RestartPauses } from '../../transport/restart-pauses.js';
import { answered } from '../kit/answered.js';
import { describe, reply, replyCode, topologyMisconfiguration } from './broker-errors.js';
import { ConsumerSession, type SessionOptions } from './consumer-session.js';
import type { RabbitmqConnection } from './connection.js';

export interface ConsumerOptions extends Omit<SessionOptions, 'handlers' | 'warning' | 'clock'> {
  readonly connection: RabbitmqConnection;
  readonly environment: TransportEnvironment;
  readonly handlers: SubscribeHandlers;
  /** Another consumer may be the active one of the queue. */
  readonly mayStandBy?: boolean;
  /** Makes the queue exist; rejects with a MessagingError when that can never be. */
  declare(): Promise<void>;
  /** It was stopped, and nothing of it is unsettled any more. */
  ended(): void;
}

/** One subscription, kept consuming: after every loss it declares and consumes again, with growing pauses, until `stop`. */
export class Consumer implements TransportSubscription {
  consuming = false;
  private wanted: 'consuming' | 'paused' | 'stopped' = 'consuming';
  private session?: ConsumerSession;
  private readonly pauses: RestartPauses;
  /** It could not be started at the last attempt. */
  private failing = false;
  private readonly stopping = new AbortController();

  /** Of those who stand by nobody can tell whether they should get something. */
  readonly attachAgain?: (reason: string) => void;

  constructor(private readonly options: ConsumerOptions) {
    const { clock, reconnect, random } = options.environment;
    this.pauses = new RestartPauses(reconnect, clock, random);
    if (!options.mayStandBy) this.attachAgain = (reason) => this.giveUpSession(reason);
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
    void this.session?.pause();
    this.setConsuming(false, 'paused');
  }

  resume(): void {
    if (this.wanted !== 'paused') return;
    this.wanted = 'consuming';
    const { session } = this;
    session?.consume().then(
      () => this.wanted === 'consuming' && this.session === session && this.setConsuming(true),
      () => void session.close(),
    );
  }

  /** Once the consumer is cancelled, another gets what comes next; only the end of the channel gives back at once. */
  async stop(giveBack = false): Promise<void> {
    if (this.wanted !== 'stopped') {
      this.wanted = 'stopped';
      this.stopping.abort();
      this.setConsuming(false, 'stopped');
    }
    const { session } = this;
    if (giveBack) return session?.close();
    await session?.stop();
    session?.finish();
  }

  /** Stops, and gives back what is unsettled; resolves when the broker has everything that was settled. */
  async close(): Promise<void> {
    await this.stop();
    await this.session?.close();
  }

  /** The next session follows the end of this one, with the connection if need be. */
  private giveUpSession(reason: string): void {
    const { session } = this;
    if (!session || this.wanted !== 'consuming') return;
    const { connection, environment } = this.options;
    const destroy = (): void => connection.destroy('the broker does not close a channel');
    const cancel = environment.clock.after(environment.confirmTimeout, destroy, { background: true });
    void session.ended.then(cancel);
    void session.close(reason);
  }

  private async supervise(): Promise<void> {
    const { connection, environment } = this.options;
    const { signal } = this.stopping;
    while (this.isWanted()) {
      if (this.session) {
        const reason = await this.session.ended;
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
    const model = connection.current;
    if (!model) throw new NotConnectedError('Not connected to RabbitMQ');
    await this.options.declare();
    const bound = { clock: environment.clock, ms: environment.confirmTimeout };
    const session = await ConsumerSession.open(model, {
      ...this.options,
      clock: environment.clock,
      warning: (message) => environment.onEvent({ type: 'warning', message }),
    });
    // Before anything can arrive: whoever stops or pauses from within the first delivery must find it.
    this.session = session;
    try {
      if (this.wanted === 'consuming') await answered(session.consume(), bound);
    } catch (error) {
      this.session = undefined;
      void session.close();
      throw this.forbidden(error) ?? error;
    }
    this.failing = false;
    this.pauses.began();
    if (this.wanted === 'consuming') this.setConsuming(true);
    if (this.wanted === 'paused') await session.pause();
    if (this.wanted === 'stopped') await session.stop().then(() => session.finish());
  }

  /** The user may not read the queue. Exclusive use by another consumer is no misconfiguration: it ends. */
  private forbidden(error: unknown): MessagingError | undefined {
    if (replyCode(error) !== reply.accessRefused || describe(error).includes('exclusive')) return undefined;
    const { queue, connection } = this.options;
    return topologyMisconfiguration(error, `the queue «${queue}»`, (text) => connection.redact(text));
  }

  /** Its session ended by itself. One that ends without the connection may end again at once. */
  private interrupted(reason: string): void {
    const { connection, queue } = this.options;
    if (this.stumbled(connection.current ? reason : connection.reason) === 2)
      this.warn(`Consuming from «${queue}» ends again and again, trying again with growing pauses: ${reason}`);
  }

  private failed(error: unknown): void {
    // Nobody waits for it any more: that it failed is our own doing.
    if (!this.isWanted()) return;
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
