import type { TransportEnvironment } from '../../../transport/transport.js';
import { Declarations } from '../topology/declarations.js';
import type { FirstDeclarations } from '../topology/first-declarations.js';
import type { Names } from '../names.js';
import type { Settings } from '../options.js';
import { Publisher } from './publisher.js';
import { PublishLinePair } from './publish-line-pair.js';
import { type RabbitmqQuarantine, rabbitmqQuarantine } from './quarantine.js';
import { RabbitmqConnection } from '../connection/connection.js';

/** The connection that messages are published on, and nothing else: the broker blocks it as a whole. */
export class PublishingSide {
  readonly connection: RabbitmqConnection;
  readonly publisher: Publisher;
  private readonly lines: PublishLinePair;
  private readonly quarantine: RabbitmqQuarantine;
  private readonly declarations: Declarations;

  /**
   * `bindAgain`: binds the queues of this process's subscriptions; it does not reject. `first`: what is declared before
   * anybody publishes.
   */
  constructor(
    settings: Settings,
    names: Names,
    environment: TransportEnvironment,
    onDelayed: () => void,
    bindAgain: () => Promise<void>,
    first: FirstDeclarations,
  ) {
    const { clock, service, confirmTimeout, provision } = environment;
    const bound = { clock, ms: confirmTimeout };
    const warning = (message: string, reason?: string): void =>
      environment.onEvent({ type: 'warning', message, ...(reason !== undefined && { reason }) });
    const name = settings.connectionName ?? service;
    this.connection = new RabbitmqConnection(`${name} (publishing)`, settings.addresses, environment, {
      opened: (model) => {
        if (!first.pending) return this.lines.connectionOpened();
        void first.over(bound).then(() => this.connection.current === model && this.lines.connectionOpened());
      },
      lost: (reason) => this.lines.connectionLost(reason),
      blocked: (reason) => this.lines.setBlocked(true, reason),
      unblocked: () => this.lines.setBlocked(false),
      warning,
    });
    const { connection } = this;
    const declarations = new Declarations({
      ...{ connection, names, bound, provision, warning, bindAgain },
      exchanges: settings.exchanges,
    });
    this.declarations = declarations;
    this.quarantine = rabbitmqQuarantine(
      (listeners) => new RabbitmqConnection(`${name} (quarantine)`, settings.addresses, environment, listeners),
      environment,
    );
    this.lines = new PublishLinePair(connection, this.quarantine, declarations, environment);
    this.publisher = new Publisher(this.lines, declarations, names, settings.maxBytes, environment);
    this.publisher.onDelayed = onDelayed;
  }

  /** Resolves when publishing is possible, or is not at the first attempt. */
  async start(): Promise<void> {
    await this.connection.start();
    await this.lines.attempted;
  }

  /** Declares again what delays go through. It does not reject: what failed is tried the next time. */
  async renew(): Promise<void> {
    if (this.connection.current) await this.declarations.renew().catch(() => {});
  }

  /** What is unconfirmed fails with the end of the connection. */
  async close(): Promise<void> {
    this.lines.close();
    await Promise.all([this.connection.close(), this.quarantine.close()]);
  }
}
