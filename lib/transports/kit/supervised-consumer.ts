import { sleep } from '../../clock/sleep.js';
import { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import { RestartPauses } from '../../transport/restart-pauses.js';
import type { SubscribeHandlers, TransportEnvironment, TransportSubscription } from '../../transport/transport.js';
import type { SupervisedConnection } from './supervised-connection.js';

/** Consuming over one link, from its beginning to its end. */
export interface ConsumerSession {
  /** Resolves with the reason when nothing comes any more, and nothing can be settled. */
  readonly ended: Promise<string>;
  /** Deliveries arrive from now on; rejects when the broker does not allow it. */
  consume(): Promise<void> | void;
  /** No delivery is handed over from now on, until `consume`. */
  pause(): Promise<void> | void;
  /** Resolves when no delivery comes any more. */
  stop(): Promise<void>;
  /** Ends the session as soon as nothing is unsettled. */
  finish(): void;
  /** Ends the session although it did nothing wrong; what is unsettled is reported as lost. */
  giveUp(reason: string): void;
  /** Gives back what is unsettled, and ends the session. */
  close(): Promise<void>;
  /** The connection is gone: nothing can be settled any more. Left out: it is given up. */
  disconnected?(reason: string): void;
  /** Before it consumes: does what `previous`, which ended by itself, had settled or not and could not tell any more. */
  recover?(previous: this): Promise<void>;
}

export interface SupervisedConsumerOptions<L extends object, S extends ConsumerSession> {
  readonly queue: string;
  readonly connection: SupervisedConnection<L>;
  readonly environment: TransportEnvironment;
  readonly handlers: SubscribeHandlers;
  /** Another consumer may be the active one of the queue. */
  readonly mayStandBy?: boolean;
  /** `close` of a session gives back in one step and to the old place, so that `stop(true)` closes it. */
  readonly givesBackAtOnce?: boolean;
  /**
   * Makes the queue exist and opens a session that does not consume yet; undefined when the link is gone meanwhile.
   * `previous` ended by itself. Rejects with a MessagingError that is not retryable when that can never be.
   */
  readonly open: (link: L, previous: S | undefined) => Promise<S | undefined>;
  /** The consumer was stopped, and nothing of it is unsettled any more. */
  ended(): void;
}

/** One subscription, kept consuming: after every loss it declares and consumes again, with growing pauses, until `stop`. */
export class SupervisedConsumer<L extends object, S extends ConsumerSession> implements TransportSubscription {
  consuming = false;
  private wanted: 'consuming' | 'paused' | 'stopped' = 'consuming';
  private session?: S;
  private previous?: S;
  private readonly pauses: RestartPauses;
  /** The consumer could not be started at the last attempt. */
  private failing = false;
  private readonly stopping = new AbortController();

  /** Absent for a consumer that may stand by: nobody can tell whether it should get something. */
  readonly attachAgain?: (reason: string) => void;

  constructor(private readonly options: SupervisedConsumerOptions<L, S>) {
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
    if (this.session) void this.goOn(this.session);
  }

  async stop(giveBack = false): Promise<void> {
    if (this.wanted !== 'stopped') {
      this.wanted = 'stopped';
      this.stopping.abort();
      this.setConsuming(false, 'stopped');
    }
    const { session } = this;
    if (giveBack && this.options.givesBackAtOnce) return session?.close();
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
    const link = connection.current;
    const destroy = (): void => void (link && connection.destroy('the broker does not end a consumer', link));
    const cancel = environment.clock.after(environment.confirmTimeout, destroy, { background: true });
    void session.ended.then(cancel);
    session.giveUp(reason);
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
        if (this.isWanted()) this.interrupted(connection.current ? connection.redact(reason) : connection.reason);
        continue;
      }
      if (this.pauses.failures > 0) await sleep(environment.clock, this.pauses.nextMs, signal);
      await connection.whenOpen(signal);
      if (this.isWanted()) await this.attach().catch((error: unknown) => this.failed(error));
    }
    this.options.ended();
  }

  private async attach(): Promise<void> {
    const { connection, open } = this.options;
    const link = connection.current;
    if (!link) throw new NotConnectedError(`Not connected: ${connection.reason}`);
    const session = await open(link, this.previous);
    if (!session) return;
    this.previous = undefined;
    // Before anything can arrive: whoever stops or pauses from within the first delivery must find it.
    this.session = session;
    try {
      if (this.wanted === 'consuming') await session.consume();
    } catch (error) {
      this.session = undefined;
      void session.close();
      throw error;
    }
    this.failing = false;
    this.pauses.began();
    if (this.wanted === 'consuming') this.setConsuming(true);
    if (this.wanted === 'paused') await session.pause();
    if (this.wanted === 'stopped') await session.stop().then(() => session.finish());
  }

  private async goOn(session: S): Promise<void> {
    try {
      await session.consume();
    } catch {
      return void session.close();
    }
    if (this.wanted === 'consuming' && this.session === session) this.setConsuming(true);
  }

  /** Its session ended by itself. One that ends without the connection may end again at once. */
  private interrupted(reason: string): void {
    if (this.stumbled(reason) === 2)
      this.warn(
        `Consuming from «${this.options.queue}» ends again and again, trying again with growing pauses: ${reason}`,
      );
  }

  private failed(error: unknown): void {
    // Nobody waits for the session any more: that it failed is our own doing.
    if (!this.isWanted()) return;
    const reason = this.options.connection.describe(error);
    this.stumbled(reason);
    if (this.failing) return;
    this.failing = true;
    this.warn(`Cannot consume from «${this.options.queue}», trying again: ${reason}`);
  }

  /** @returns failed starts in a row. Without a connection the waiting ends when that is back: it is supervised elsewhere. */
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
