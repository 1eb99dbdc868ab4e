import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '../../../clock/clock.js';
import { answered } from '../../../clock/answered.js';
import type { Dialer, LinkEvents } from '../../kit/supervised-connection.js';
import type { Address } from './address.js';
import { connectionMisconfiguration, describe, isOverWhatWasSent } from './broker-errors.js';

/** How long the server may take to read what was sent before a connection is closed. */
const FLUSH_WITHIN_MS = 3_000;

/** Opens connections to NATS. One that the application gave reconnects by itself: it is lost and found here, as it says. */
export class NatsDialer<L extends { readonly connection: NatsConnection }> implements Dialer<L> {
  /** The last one that was opened. */
  private link?: L;
  /** While a connection of the application's is cut off. */
  private away?: Promise<void>;
  private back = (): void => {};
  private followed = false;
  private ending = false;
  /** What the server said before it ended the connection, where that was over something it was sent. */
  private verdict?: string;

  constructor(
    private readonly address: Address,
    private readonly service: string,
    private readonly clock: Clock,
    /** Makes a link of a new connection. The connection is given up when this rejects. */
    private readonly prepare: (connection: NatsConnection) => Promise<L>,
  ) {}

  get name(): string {
    return `NATS at ${this.address.host}`;
  }

  redact(text: string): string {
    return this.address.redact(text);
  }

  describe(error: unknown): string {
    return this.redact(describe(error));
  }

  async open(_failures: number, on: LinkEvents<L>): Promise<L> {
    await this.away;
    if (this.address.client?.isClosed())
      throw new Error('the connection given as «client» is closed for good: nothing is sent or received any more');
    const connection = await this.address.open(this.service).catch((error: unknown) => {
      throw connectionMisconfiguration(error, this.address) ?? error;
    });
    const gone = connection.closed().then((error) => {
      throw error instanceof Error ? error : new Error('connection closed');
    });
    void this.follow(connection, on).catch(() => {});
    try {
      const link = await Promise.race([this.prepare(connection), gone]);
      if (connection.isClosed() || this.away)
        throw new Error(`the connection to ${connection.getServer()} ended at once`);
      this.link = link;
      gone.catch((error: unknown) => this.ended(link, this.describe(error), on));
      return link;
    } catch (error) {
      void this.release(connection);
      throw error;
    }
  }

  end({ connection }: L): Promise<void> {
    this.ending = true;
    return this.release(connection);
  }

  destroy(link: L, reason: string, on: LinkEvents<L>): void {
    const { connection } = link;
    const { client } = this.address;
    if (!client || !this.ending) void connection.reconnect().catch(() => {});
    if (!client && !connection.isClosed()) void connection.close().catch(() => {});
    on.ended(link, reason);
  }

  /** What was sent gets to the server first, where it answers. */
  private async release(connection: NatsConnection): Promise<void> {
    const bound = { clock: this.clock, ms: FLUSH_WITHIN_MS };
    if (!connection.isClosed()) await answered(connection.flush(), bound).catch(() => {});
    if (!this.address.client && !connection.isClosed()) await connection.close().catch(() => {});
  }

  private async follow(connection: NatsConnection, on: LinkEvents<L>): Promise<void> {
    const given = this.address.client !== undefined;
    if (given && this.followed) return;
    this.followed = true;
    for await (const status of connection.status()) {
      if (this.ending) return;
      if (status.type === 'error') this.said(status.error, on);
      else if (given && status.type === 'disconnect') this.disconnected(on);
      else if (given && status.type === 'reconnect') this.reconnected();
    }
    this.reconnected();
  }

  private said(error: Error, on: LinkEvents<L>): void {
    const text = this.describe(error);
    if (isOverWhatWasSent(error)) this.verdict = text;
    on.warning(text);
  }

  private disconnected(on: LinkEvents<L>): void {
    this.away ??= new Promise((resolve) => (this.back = resolve));
    if (this.link) this.ended(this.link, 'disconnected', on);
  }

  private ended(link: L, reason: string, on: LinkEvents<L>): void {
    const { verdict } = this;
    this.verdict = undefined;
    on.ended(link, verdict ?? reason, verdict !== undefined);
  }

  /** Or closed for good. */
  private reconnected(): void {
    this.away = undefined;
    this.back();
  }
}
