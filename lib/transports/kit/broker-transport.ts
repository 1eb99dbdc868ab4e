import { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { Outgoing } from '../../transport/outgoing.js';
import type { Topology } from '../../transport/topology.js';
import type {
  PublishDone,
  SubscribeHandlers,
  SubscribeOptions,
  Transport,
  TransportEnvironment,
  TransportSubscription,
} from '../../transport/transport.js';
import type { SupervisedConnection } from './supervised-connection.js';

/** Where the broker is asked. */
export interface AskedOn<L extends object> {
  readonly connection: SupervisedConnection<L>;
}

/**
 * A transport around its parts, which exist from `connect` on: it connects once and closes once, asks the broker on a
 * connection that is open, and fails what is published before and after.
 */
export abstract class BrokerTransport<Parts extends AskedOn<L>, L extends object> implements Transport {
  abstract readonly system: string;
  abstract readonly host: string;
  abstract readonly capabilities: TransportCapabilities;
  private parts?: Parts;
  private closed?: Promise<void>;
  protected isClosing = false;

  constructor(
    /** The broker's name, for people. */
    protected readonly brokerName: string,
  ) {}

  abstract declare(topology: Topology): Promise<void>;
  abstract native(): unknown;

  protected abstract assemble(environment: TransportEnvironment): Parts;
  protected abstract send(parts: Parts, batch: readonly Outgoing[], done: PublishDone): void;
  protected abstract consume(
    parts: Parts,
    options: SubscribeOptions,
    handlers: SubscribeHandlers,
  ): Promise<TransportSubscription>;
  protected abstract ping(link: L): Promise<unknown>;
  protected abstract end(parts: Parts): Promise<void>;

  async connect(environment: TransportEnvironment): Promise<void> {
    if (this.isClosing) throw this.notConnected('closed');
    if (this.parts) return;
    const parts = this.assemble(environment);
    this.parts = parts;
    try {
      await this.start(parts, environment);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  publish(batch: readonly Outgoing[], done: PublishDone): void {
    if (this.parts && !this.isClosing) return this.send(this.parts, batch, done);
    const error = this.notConnected(this.isClosing ? 'closed' : NOT_CALLED);
    queueMicrotask(() => batch.forEach((outgoing) => done(outgoing, { status: 'failed', error })));
  }

  async subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
    const parts = this.connected();
    this.forward();
    return this.consume(parts, options, handlers);
  }

  async probe(): Promise<void> {
    await this.ask((link) => this.ping(link));
  }

  close(): Promise<void> {
    this.isClosing = true;
    this.closed ??= this.parts ? this.end(this.parts) : Promise.resolve();
    return this.closed;
  }

  /** What exists from `connect` on, for what may be asked before. */
  protected get assembled(): Parts | undefined {
    return this.parts;
  }

  /** @throws NotConnectedError before `connect` */
  protected connected(): Parts {
    if (!this.parts) throw this.notConnected(NOT_CALLED);
    return this.parts;
  }

  /** Whoever consumes or delays also looks after what is due. */
  protected forward(): void {
    if (!this.isClosing) this.beginForwarding(this.connected());
  }

  /** Connects. Rejects on a misconfiguration. */
  protected async start({ connection }: Parts, _environment: TransportEnvironment): Promise<void> {
    await connection.start();
  }

  /** Further ones that the broker can be asked on while the first is not open. */
  protected others(_parts: Parts): readonly SupervisedConnection<L>[] {
    return [];
  }

  /** Begins, once, to look after what is delayed and has to be sent on: where the broker does not do so by itself. */
  protected beginForwarding(_parts: Parts): void {}

  /** Asks the broker something; an error of its client becomes ours, without credentials. */
  protected async ask<T>(question: (link: L) => Promise<T>): Promise<T> {
    const parts = this.connected();
    const open = [parts.connection, ...this.others(parts)].find(({ current }) => current);
    const connection = open ?? parts.connection;
    const link = connection.current;
    if (!link) throw this.notConnected(connection.reason);
    try {
      return await question(link);
    } catch (error) {
      if (error instanceof MessagingError) throw error;
      throw new NotConnectedError(`${this.brokerName} did not answer: ${connection.describe(error)}`);
    }
  }

  private notConnected(reason: string): NotConnectedError {
    return new NotConnectedError(`Not connected to ${this.brokerName}: ${reason}`);
  }
}

const NOT_CALLED = 'connect() was not called';
