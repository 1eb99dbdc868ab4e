import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';
import type { Clock } from '../../clock/clock.js';

/** A broker ends connections that are idle, after ten minutes unless told otherwise: that says nothing about the cluster. */
const IDLE_MS = 60_000;
const KEEP_ALIVE_MS = 60_000;

/** The sockets of a client that says nothing of connections that it has lost, and cannot be made to give up. */
export class Sockets {
  private readonly open = new Set<Socket>();
  private destroyed = false;
  private connected = 0;
  private reachedAt = Infinity;

  constructor(
    private readonly clock: Clock,
    /** A connection that was open has ended by the other side. */
    private readonly lost: (reason: string) => void = () => {},
  ) {}

  readonly factory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    if (this.destroyed) throw new Error('the link was given up');
    const socket = ssl
      ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
      : connect({ host, port }, onConnect);
    this.watch(socket, ssl ? 'secureConnect' : 'connect', `${host}:${port}`);
    return socket.setKeepAlive(true, KEEP_ALIVE_MS).setNoDelay(true);
  };

  get isDestroyed(): boolean {
    return this.destroyed;
  }

  /** How long there has been a connection, without a gap. */
  get steadyMs(): number {
    return Math.max(0, this.clock.monotonic() - this.reachedAt);
  }

  /** Nothing that was sent is under way any more, and no new connection is made. */
  destroy(): void {
    this.destroyed = true;
    for (const socket of this.open) socket.destroy(new Error('the link was given up'));
  }

  private watch(socket: Socket, connected: string, address: string): void {
    let reason = `the connection to ${address} was closed`;
    let heardAt = Infinity;
    this.open.add(socket);
    socket.once(connected, () => {
      heardAt = this.clock.monotonic();
      if (this.connected++ === 0) this.reachedAt = heardAt;
    });
    socket.on('data', () => (heardAt = this.clock.monotonic()));
    socket.on('error', (error) => (reason = error.message));
    socket.once('close', () => {
      this.open.delete(socket);
      const wasConnected = heardAt !== Infinity;
      if (wasConnected && --this.connected === 0) this.reachedAt = Infinity;
      if (!this.destroyed && wasConnected && this.clock.monotonic() - heardAt < IDLE_MS) this.lost(reason);
    });
  }
}
