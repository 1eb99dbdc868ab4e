import type { ChannelModel } from 'amqplib';
import { NotConnectedError, PublishFailedError } from '../../../errors/publish-errors.js';
import { CONFIRMED, type PublishResult } from '../../../transport/outgoing.js';
import type { TransportEnvironment } from '../../../transport/transport.js';
import type { AmqpError } from '../connection/amqplib.js';
import { reconnectDelay } from '../../../transport/reconnect-delay.js';
import { describe, reply } from '../connection/broker-errors.js';
import { isCausedByPublish, isolate, resultOf, suspectsOf } from './isolation.js';
import { NackWatch } from './nack-watch.js';
import { PublishChannel } from './publish-channel.js';
import type { RabbitmqQuarantine } from './quarantine.js';
import type { Sending } from './sending.js';
import { SoloChannel } from './solo-channel.js';
import type { RabbitmqConnection } from '../connection/connection.js';

/** How long the broker may take to close a channel. One that has published to a queue without a leader takes longer. */
const CLOSE_WITHIN_MS = 2_000;
/** How long it may take to open one; a connection on which that takes longer is dead. */
const OPEN_WITHIN_MS = 5_000;

export interface LineListeners {
  /** The fate of an entry. */
  resolved(entry: Sending, result: PublishResult): void;
  /** The broker did not answer these in time. Their channel is given up now, and their results follow. */
  unanswered(entries: readonly Sending[]): void;
  /** The broker closed the channel over a publish to an exchange that does not exist. */
  exchangeMissing(exchange: string): void;
  connected(): void;
  /** Also after a first failure to connect. */
  disconnected(reason: string): void;
}

/**
 * A confirm channel that messages are published on, kept open as long as the connection is. Every entry that was sent
 * gets exactly one result, and a failed one only when its channel is closed, or the broker had time to close it.
 */
export class PublishLine {
  private channel?: PublishChannel<Sending>;
  private openingOn?: ChannelModel;
  private opening: Promise<void> = Promise.resolve();
  private failures = 0;
  private closed = false;
  private blocked = false;
  private unblockedAt = -Infinity;
  private sweep?: () => void;
  private state?: 'connected' | 'disconnected';
  private reason = 'not connected yet';
  private readonly nacks: NackWatch;

  constructor(
    private readonly connection: RabbitmqConnection,
    private readonly quarantine: RabbitmqQuarantine,
    private readonly environment: TransportEnvironment,
    private readonly listeners: LineListeners,
  ) {
    this.nacks = new NackWatch(environment.clock);
  }

  /** Why nothing can be sent now; undefined when it can. */
  get obstacle(): string | undefined {
    if (!this.channel) return `Not connected to RabbitMQ: ${this.reason}`;
    return this.blocked ? 'RabbitMQ blocks publishing (an alarm)' : undefined;
  }

  /** Throws what amqplib throws on a message it cannot write, or NotConnectedError. */
  send(entry: Sending): void {
    const channel = this.channel;
    if (!channel) throw new NotConnectedError(`Not connected to RabbitMQ: ${this.reason}`);
    if (this.quarantine.isFor(entry.outgoing.message)) return this.quarantine.take(entry, this.told);
    try {
      channel.send(entry);
    } catch (error) {
      if ((error as Error).name !== 'IllegalOperationError') throw error;
      this.interrupted(channel, 'the channel is closed');
      void this.open();
      throw new NotConnectedError('The channel to RabbitMQ is closed');
    }
    if (!this.sweep) this.watch(entry.sentAt);
  }

  connectionOpened(): void {
    this.opening = this.open();
  }

  /** Resolves when the attempt to open the channel of the present connection is over. */
  get attempted(): Promise<void> {
    return this.opening;
  }

  connectionLost(reason: string): void {
    this.channel = undefined;
    this.report('disconnected', reason);
  }

  setBlocked(blocked: boolean): void {
    this.blocked = blocked;
    if (blocked) return;
    this.unblockedAt = this.environment.clock.monotonic();
    const oldest = this.channel?.oldest;
    if (oldest && !this.sweep) this.watch(oldest.sentAt);
  }

  close(): void {
    this.closed = true;
    this.sweep?.();
    this.interrupted(this.channel, 'closed');
  }

  private async open(): Promise<void> {
    const model = this.connection.current;
    if (!model || this.closed || this.channel || this.openingOn === model) return;
    this.openingOn = model;
    const { clock, reconnect, random } = this.environment;
    // While it blocks publishers the broker reads nothing.
    const late = (): void => void (this.blocked || this.connection.destroy('no answer to the opening of a channel'));
    const cancel = clock.after(OPEN_WITHIN_MS, late, { background: true });
    try {
      const channel = await this.openChannel(model).finally(cancel);
      this.openingOn = undefined;
      if (this.connection.current !== model || this.closed) return;
      this.channel = channel;
      this.failures = 0;
      this.report('connected');
    } catch (error) {
      if (this.openingOn === model) this.openingOn = undefined;
      if (this.connection.current !== model) return;
      this.report('disconnected', this.connection.redact(describe(error)));
      const delayMs = reconnectDelay(reconnect, ++this.failures, random);
      clock.after(delayMs, () => void this.open(), { background: true });
    }
  }

  private async openChannel(model: ChannelModel): Promise<PublishChannel<Sending>> {
    const channel: PublishChannel<Sending> = await PublishChannel.open<Sending>(model, {
      acked: (entry) => {
        this.nacks.acked();
        this.tell(entry, CONFIRMED);
      },
      nacked: (entry) => {
        this.tell(entry, nacked('RabbitMQ did not take the message (nack): a queue is full or has no leader'));
        if (this.nacks.nacked()) this.retire(channel, 'RabbitMQ takes nothing on this channel', true);
      },
      ended: (unresolved, error) => this.ended(channel, unresolved, error),
      defect: (error) =>
        this.environment.onEvent({ type: 'warning', message: `A result callback failed: ${error.message}` }),
    });
    return channel;
  }

  /** The channel cannot be used any more, for whatever reason; results follow separately. */
  private interrupted(channel: PublishChannel<Sending> | undefined, reason: string): void {
    if (!channel || this.channel !== channel) return;
    this.channel = undefined;
    this.report('disconnected', reason);
  }

  private ended(channel: PublishChannel<Sending>, unresolved: Sending[], error: AmqpError | undefined): void {
    if (error) return this.resolveEnded(channel, unresolved, error);
    // When the whole connection ends, its channels end first: the reason is known after that.
    queueMicrotask(() => this.resolveEnded(channel, unresolved, undefined));
  }

  private resolveEnded(channel: PublishChannel<Sending>, unresolved: Sending[], error: AmqpError | undefined): void {
    const text = error ? this.connection.redact(describe(error)) : 'the channel was closed';
    const model = this.connection.current;
    if (model && unresolved.length > 0 && isCausedByPublish(error)) {
      // The connection is fine and a new channel follows: core must not queue the culprit meanwhile.
      if (this.channel === channel) this.channel = undefined;
      void this.isolate(model, unresolved, error);
      return;
    }
    this.interrupted(channel, text);
    if (!error && this.connection.isSuspicious) {
      this.quarantine.takeAll(unresolved, this.told);
      return;
    }
    const [, exchange] = (error?.code === reply.notFound && /exchange '(.*)' in vhost/.exec(text)) || [];
    if (exchange !== undefined) this.listeners.exchangeMissing(exchange);
    for (const entry of unresolved) this.tell(entry, failed(`Not confirmed: ${error ? text : this.reason}`));
    void this.open();
  }

  private async isolate(model: ChannelModel, unresolved: readonly Sending[], error: AmqpError): Promise<void> {
    // Nothing else is published meanwhile: what was in flight keeps its place before what follows.
    this.openingOn = model;
    const { suspects, others } = suspectsOf(unresolved, error);
    for (const entry of others)
      this.tell(entry, failed(`Not confirmed: another message made RabbitMQ close the channel`));
    const solo = new SoloChannel<Sending>(
      model,
      this.environment.clock,
      this.environment.confirmTimeout,
      () => this.blocked,
    );
    await isolate(
      suspects,
      (entry) => solo.send(entry),
      (entry, verdict) =>
        this.tell(
          entry,
          resultOf(verdict, (text) => this.connection.redact(text)),
        ),
    );
    solo.close();
    if (this.openingOn === model) this.openingOn = undefined;
    void this.open();
  }

  /** Calls back when the oldest message in flight has waited too long. One timer, whatever the number of messages. */
  private watch(since: number): void {
    const { clock, confirmTimeout } = this.environment;
    const deadline = Math.max(since, this.unblockedAt) + confirmTimeout;
    this.sweep = clock.after(deadline - clock.monotonic(), () => {
      this.sweep = undefined;
      const { channel } = this;
      const oldest = channel?.oldest;
      if (!channel || !oldest || this.blocked) return;
      const now = clock.monotonic();
      const waited = now - Math.max(oldest.sentAt, this.unblockedAt);
      if (waited < confirmTimeout) return this.watch(oldest.sentAt);
      // What has waited for half the time shares the fate of the first: its turn would be next.
      this.listeners.unanswered(channel.sentUntil(now - confirmTimeout / 2));
      this.retire(channel, `RabbitMQ did not confirm within ${confirmTimeout} ms`, false);
    });
  }

  /** Gives up the channel; `gently`: what is in flight may still be answered for a while. A new one follows its end. */
  private retire(channel: PublishChannel<Sending>, reason: string, gently: boolean): void {
    if (this.channel !== channel) return;
    this.interrupted(channel, reason);
    const { clock, confirmTimeout } = this.environment;
    const within = Math.min(confirmTimeout, CLOSE_WITHIN_MS);
    let cancel = (): void => {};
    const close = (): void => {
      cancel();
      if (!channel.isOpen) return;
      channel.close();
      // The channel that is opened next shows whether the connection lives.
      cancel = clock.after(within, () => channel.isOpen && channel.abandon(), { background: true });
    };
    if (!gently) return close();
    cancel = clock.after(confirmTimeout, close, { background: true });
    channel.onDrained = close;
  }

  /** Tells core what changed; the first failure to connect is a change too. */
  private report(state: 'connected' | 'disconnected', reason = ''): void {
    this.reason = reason;
    if (this.closed || this.state === state) return;
    this.state = state;
    if (state === 'connected') this.listeners.connected();
    else this.listeners.disconnected(reason);
  }

  private tell(entry: Sending, result: PublishResult): void {
    try {
      this.listeners.resolved(entry, result);
    } catch (error) {
      this.environment.onEvent({ type: 'warning', message: `A result callback failed: ${(error as Error).message}` });
    }
  }

  private readonly told = (entry: Sending, result: PublishResult): void => this.tell(entry, result);
}

function nacked(message: string): PublishResult {
  return { status: 'failed', error: new PublishFailedError(message), nacked: true };
}

function failed(message: string): PublishResult {
  return { status: 'failed', error: new PublishFailedError(message) };
}
