import type { TransportEnvironment } from '../../transport/transport.js';
import { Declarations } from './declarations.js';
import type { Names } from './names.js';
import type { Settings } from './options.js';
import { Publisher } from './publisher.js';
import { PublishLine } from './publish-line.js';
import { SupervisedConnection } from './supervised-connection.js';

/** The connection that messages are published on, and nothing else: the broker blocks it as a whole. */
export class PublishingSide {
  readonly connection: SupervisedConnection;
  readonly publisher: Publisher;
  private readonly line: PublishLine;

  constructor(settings: Settings, names: Names, environment: TransportEnvironment, onDelayed: () => void) {
    const { clock, service, confirmTimeout, provision } = environment;
    const warning = (message: string): void => environment.onEvent({ type: 'warning', message });
    const name = `${settings.connectionName ?? service} (publishing)`;
    this.connection = new SupervisedConnection(name, settings.addresses, environment, {
      opened: () => this.line.connectionOpened(),
      lost: (reason) => this.line.connectionLost(reason),
      blocked: (reason) => this.line.setBlocked(true, reason),
      unblocked: () => this.line.setBlocked(false),
      warning,
    });
    const { connection } = this;
    const declarations = new Declarations({ connection, names, clock, provision, timeout: confirmTimeout, warning });
    this.line = new PublishLine(connection, declarations, environment);
    this.publisher = new Publisher(this.line, declarations, names, settings.maxBytes, environment);
    this.publisher.onDelayed = onDelayed;
  }

  /** Resolves when publishing is possible, or is not at the first attempt. */
  async start(): Promise<void> {
    await this.connection.start();
    await this.line.attempted;
  }

  /** What is unconfirmed fails with the end of the connection. */
  async close(): Promise<void> {
    this.line.close();
    await this.connection.close();
  }
}
