import type { ChannelModel } from 'amqplib';
import type { Clock } from '../../../clock/clock.js';
import { MessagingError } from '../../../errors/messaging-error.js';
import type { Dialer, LinkEvents } from '../../kit/supervised-connection.js';
import type { Address } from './address.js';
import { destroySocket, gatherWrites, type AmqpError } from './amqplib.js';
import { connectionMisconfiguration, describe, isOverWhatWasSent } from './broker-errors.js';

/** How long a connection that reported an error may take to end before its socket is destroyed. */
const END_WITHIN_MS = 5_000;

export interface BlockListeners {
  blocked?(reason: string): void;
  unblocked?(): void;
}

/** Opens connections to the nodes of one broker, in turn. */
export class RabbitmqDialer implements Dialer<ChannelModel> {
  private address: Address;

  constructor(
    private readonly connectionName: string,
    private readonly addresses: readonly Address[],
    private readonly clock: Clock,
    private readonly listeners: BlockListeners,
  ) {
    this.address = addresses[0];
  }

  get host(): string {
    return this.address.host;
  }

  get name(): string {
    return `RabbitMQ at ${this.host}`;
  }

  redact(text: string): string {
    return this.addresses.reduce((clean, address) => address.redact(clean), text);
  }

  describe(error: unknown): string {
    return this.redact(describe(error));
  }

  /** Tries each address once. A misconfiguration counts when no address worked. */
  async open(failures: number, on: LinkEvents<ChannelModel>): Promise<ChannelModel> {
    let failure: unknown;
    for (const address of this.rotation(failures)) {
      try {
        const model = await address.open(this.connectionName);
        this.address = address;
        this.watch(model, on);
        gatherWrites(model);
        return model;
      } catch (error) {
        failure = connectionMisconfiguration(error, address) ?? (failure instanceof MessagingError ? failure : error);
      }
    }
    throw failure;
  }

  /** Rejects when the connection is already ending; `close` follows in any case, at the latest with the socket. */
  async end(model: ChannelModel): Promise<void> {
    const ended = new Promise<void>((resolve) => model.once('close', () => resolve()));
    await Promise.race([model.close().catch(() => {}), ended]);
  }

  /** The events of the connection follow. */
  destroy(model: ChannelModel, reason: string): void {
    destroySocket(model, reason);
  }

  private rotation(failures: number): readonly Address[] {
    const start = failures % this.addresses.length;
    return [...this.addresses.slice(start), ...this.addresses.slice(0, start)];
  }

  private watch(model: ChannelModel, on: LinkEvents<ChannelModel>): void {
    let reason: string | undefined;
    let failure: AmqpError | undefined;
    let cancelDeadline = (): void => {};
    model.on('error', (error: AmqpError) => {
      failure ??= error;
      reason ??= this.describe(error);
      cancelDeadline();
      cancelDeadline = this.clock.after(END_WITHIN_MS, () =>
        destroySocket(model, 'no answer to the closing of the connection'),
      );
    });
    model.on('close', (error?: Error) => {
      cancelDeadline();
      if (reason !== undefined) destroySocket(model, reason);
      on.ended(model, reason ?? (error ? this.describe(error) : 'closed'), isOverWhatWasSent(failure));
    });
    model.on('handler-error', (error: Error) => on.warning(`A listener failed: ${error.message}`));
    model.on('blocked', (text: string) => this.listeners.blocked?.(text));
    model.on('unblocked', () => this.listeners.unblocked?.());
  }
}
