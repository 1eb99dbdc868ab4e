import type { ChannelModel } from 'amqplib';
import { NotConnectedError } from '../../errors/publish-errors.js';
import type { PublishResult } from '../../transport/outgoing.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import { refusalOf, resultOf } from './isolation.js';
import type { Sending } from './sending.js';
import { SoloChannel } from './solo-channel.js';
import type { RabbitmqListeners, RabbitmqConnection } from './connection.js';

/** So often a message must be the only one on a connection that the broker closes before it is refused for that. */
const CLOSURES = 2;

type Tell = (entry: Sending, result: PublishResult) => void;

/**
 * What was in flight when the broker closed the connection itself, as it does over a frame or a value it cannot read. It
 * does not say which message it was, so each is sent again alone, on a connection of its own: everything else flows on
 * meanwhile, and one message ends no connection but this one.
 */
export class Quarantine {
  private readonly held: { readonly entry: Sending; readonly tell: Tell }[] = [];
  private connection?: RabbitmqConnection;
  private solo?: SoloChannel<Sending>;
  private blocked = false;
  private closed = false;

  constructor(
    private readonly connect: (listeners: RabbitmqListeners) => RabbitmqConnection,
    private readonly environment: TransportEnvironment,
  ) {}

  /** Tells the result of each, once. */
  take(entries: readonly Sending[], tell: Tell): void {
    for (const entry of entries) this.held.push({ entry, tell });
    if (!this.connection && this.held.length > 0) void this.work();
  }

  /** What is still held fails. */
  async close(): Promise<void> {
    this.closed = true;
    await this.connection?.close();
  }

  private async work(): Promise<void> {
    this.warn(
      `RabbitMQ closed the connection over one of ${this.held.length} messages in flight: they are sent one by one`,
    );
    const connection = this.connect({
      opened: () => {},
      lost: () => (this.blocked = false),
      blocked: () => (this.blocked = true),
      unblocked: () => (this.blocked = false),
      warning: () => {},
    });
    this.connection = connection;
    // Whatever is misconfigured now, the connection of all others says so.
    if (!this.closed) await connection.start().catch(() => {});
    for (let next = this.held.shift(); next; next = this.held.shift())
      next.tell(next.entry, await this.trial(connection, next.entry));
    this.connection = this.solo = undefined;
    await connection.close();
  }

  private async trial(connection: RabbitmqConnection, entry: Sending): Promise<PublishResult> {
    for (let closures = 1; ; closures++) {
      const model = connection.current ?? (await this.opened(connection));
      if (!model) return failed(new NotConnectedError(`Not connected to RabbitMQ: ${connection.reason}`));
      const verdict = await this.channelOf(model)
        .send(entry)
        .catch(() => 'lost' as const);
      const { endedBy } = connection;
      const redact = (text: string): string => connection.redact(text);
      if (verdict !== 'lost' || !endedBy) return resultOf(verdict, redact);
      if (closures < CLOSURES) continue;
      this.warn(`RabbitMQ closes the connection over message ${entry.outgoing.message.id}: it is refused`);
      return { status: 'refused', error: refusalOf(endedBy, redact) };
    }
  }

  private channelOf(model: ChannelModel): SoloChannel<Sending> {
    if (this.solo?.model === model) return this.solo;
    const { clock, confirmTimeout } = this.environment;
    return (this.solo = new SoloChannel(model, clock, confirmTimeout, () => this.blocked));
  }

  private async opened(connection: RabbitmqConnection): Promise<RabbitmqConnection['current']> {
    if (this.closed) return undefined;
    const { clock, confirmTimeout, reconnect } = this.environment;
    const giveUp = new AbortController();
    const cancel = clock.after(reconnect.max + confirmTimeout, () => giveUp.abort(), { background: true });
    await connection.whenOpen(giveUp.signal);
    cancel();
    return connection.current;
  }

  private warn(message: string): void {
    this.environment.onEvent({ type: 'warning', message });
  }
}

function failed(error: NotConnectedError): PublishResult {
  return { status: 'failed', error };
}
