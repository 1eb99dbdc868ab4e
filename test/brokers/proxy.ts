import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePorts } from './free-ports.js';
import { ProxyConnection, type ProxyFaults } from './proxy-connection.js';

/** A TCP proxy on 127.0.0.1 between a client and a broker. Its faults act on all its connections. */
export class Proxy {
  private readonly faults: ProxyFaults = { latency: 0, stalled: false, dropFromBroker: false, dropped: 0 };
  private readonly open = new Set<ProxyConnection>();
  private server?: Server;

  private constructor(
    readonly port: number,
    private readonly targetPort: number,
    private readonly targetHost: string,
  ) {}

  /** In front of the broker at this URL, or at this port of 127.0.0.1. */
  static async start(target: string | number): Promise<Proxy> {
    const { port, hostname } = typeof target === 'number' ? { port: target, hostname: '127.0.0.1' } : new URL(target);
    const [ownPort] = await freePorts(1);
    const proxy = new Proxy(ownPort, Number(port) || 5672, hostname);
    await proxy.refuse(false);
    return proxy;
  }

  /** A broker's URL, leading through the proxy. */
  url(brokerUrl: string): string {
    const url = new URL(brokerUrl);
    url.hostname = '127.0.0.1';
    url.port = String(this.port);
    return url.href;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.open.size;
  }

  /** How many bytes dropFromBroker has discarded. */
  get droppedBytes(): number {
    return this.faults.dropped;
  }

  /** What passes from now on arrives so much later, in each direction. */
  latency(milliseconds: number): void {
    this.faults.latency = milliseconds;
  }

  /** Half-open: nothing passes in either direction, new connections included, but all sockets stay. */
  stall(): void {
    this.faults.stalled = true;
    for (const connection of this.open) connection.update();
  }

  /** Ends stall(). What was held back passes now. */
  resume(): void {
    this.faults.stalled = false;
    for (const connection of this.open) connection.update();
  }

  /** Resets every connection; gives how many. */
  reset(): number {
    const connections = [...this.open];
    for (const connection of connections) connection.reset();
    return connections.length;
  }

  /** Refuses new connections; the open ones stay. */
  async refuse(on: boolean): Promise<void> {
    if (on === (this.server === undefined)) return;
    if (on) {
      this.server?.close();
      this.server = undefined;
    } else {
      this.server = createServer({ allowHalfOpen: true }, (client) => this.accept(client));
      this.server.listen(this.port, '127.0.0.1');
      await once(this.server, 'listening');
    }
  }

  /**
   * Lets so many more bytes through to the broker, over all connections together, then ends the connection
   * that brought the last one. Resolves when that has happened.
   */
  cutAfter(bytes: number): Promise<void> {
    return new Promise((resolve) => (this.faults.cut = { bytesLeft: bytes, done: resolve }));
  }

  /** From when a client has said these bytes, what the broker says to it is discarded. Undefined ends it for new ones. */
  dropFromBrokerAfter(said: Buffer | undefined): void {
    this.faults.dropAfter = said;
  }

  /**
   * From now on a connection that says these bytes ends in the broker's name: what came before them gets through, and the
   * client hears the last words. Undefined ends it for new ones.
   */
  endOver(said: Buffer | undefined, lastWords: Buffer): void {
    this.faults.endOver = said && { said, lastWords };
  }

  /** Discards what the broker says: it receives and stores, but its answers are lost. */
  dropFromBroker(on: boolean): void {
    this.faults.dropFromBroker = on;
  }

  async close(): Promise<void> {
    await this.refuse(true);
    this.reset();
  }

  private accept(client: Socket): void {
    const broker = connect({ port: this.targetPort, host: this.targetHost, allowHalfOpen: true });
    const connection = new ProxyConnection(client, broker, this.faults, () => this.open.delete(connection));
    this.open.add(connection);
  }
}
