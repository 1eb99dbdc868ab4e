import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePorts } from '../brokers/free-ports.js';

/** AMQP methods by name: class and method id. */
export const method = {
  connectionOpen: 0x000a_0028,
  channelOpen: 0x0014_000a,
  exchangeDeclare: 0x0028_000a,
  queueDeclare: 0x0032_000a,
  queueBind: 0x0032_0014,
  confirmSelect: 0x0055_000a,
  basicQos: 0x003c_000a,
  basicConsume: 0x003c_0014,
  basicConsumeOk: 0x003c_0015,
  basicCancel: 0x003c_001e,
  basicDeliver: 0x003c_003c,
} as const;

export type Method = keyof typeof method;

/** A TCP proxy that understands frames: it can end a connection at a given method, and speak in the broker's place. */
export class AmqpGate {
  private server!: Server;
  private readonly clients = new Set<GateConnection>();
  private trap?: { method: Method; sprung: () => void };
  private readonly deliveries: Swallowing = { on: false, swallowed: 0 };
  private poison?: Buffer;
  /** How many connections `closeOver` has closed. */
  closed = 0;

  private constructor(
    readonly port: number,
    private readonly targetPort: number,
  ) {}

  static async start(targetPort: number): Promise<AmqpGate> {
    const [port] = await freePorts(1);
    const gate = new AmqpGate(port, targetPort);
    gate.server = createServer((client) => gate.accept(client));
    gate.server.listen(port, '127.0.0.1');
    await once(gate.server, 'listening');
    return gate;
  }

  /** Resets the connection that sends this method next, before the method gets through. Resolves when it happened. */
  resetAt(name: Method): Promise<void> {
    return new Promise((resolve) => (this.trap = { method: name, sprung: resolve }));
  }

  /** From now on every connection that says these bytes is closed as a broker does it over what it cannot read: 541. */
  closeOver(said: string): void {
    this.poison = Buffer.from(said);
  }

  reset(): number {
    const open = [...this.clients];
    for (const client of open) client.reset();
    return open.length;
  }

  /** Cancels every consumer as a broker does: basic.cancel on its channel. Gives how many. */
  cancelConsumers(): number {
    let cancelled = 0;
    for (const client of this.clients) cancelled += client.cancelConsumers();
    return cancelled;
  }

  /** What the broker delivers from now on never reaches the client; all else does. */
  swallowDeliveries(on: boolean): void {
    this.deliveries.on = on;
  }

  /** How many deliveries never reached the client. */
  get swallowed(): number {
    return this.deliveries.swallowed;
  }

  async close(): Promise<void> {
    this.server.close();
    this.reset();
  }

  private accept(client: Socket): void {
    const broker = connect({ port: this.targetPort, host: '127.0.0.1' });
    const connection = new GateConnection(
      client,
      broker,
      (name) => this.passes(name),
      (frame) => this.poisons(frame),
      this.deliveries,
    );
    this.clients.add(connection);
    client.once('close', () => this.clients.delete(connection));
  }

  private poisons(frame: Buffer): boolean {
    if (!this.poison || !frame.includes(this.poison)) return false;
    this.closed++;
    return true;
  }

  private passes(id: number): boolean {
    const { trap } = this;
    if (!trap || method[trap.method] !== id) return true;
    this.trap = undefined;
    trap.sprung();
    return false;
  }
}

interface Swallowing {
  on: boolean;
  swallowed: number;
}

class GateConnection {
  /** Channels on which the content of a swallowed delivery follows. */
  private readonly swallowing = new Set<number>();
  private readonly consumers = new Map<string, number>();

  constructor(
    private readonly client: Socket,
    private readonly broker: Socket,
    passes: (method: number) => boolean,
    poisons: (frame: Buffer) => boolean,
    private readonly deliveries: Swallowing,
  ) {
    for (const socket of [client, broker]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.reset());
      socket.on('end', () => this.reset());
    }
    const toBroker = new Frames(8);
    const toClient = new Frames(0);
    client.on('data', (chunk: Buffer) => {
      for (const frame of toBroker.split(chunk)) {
        if (isMethod(frame) && !passes(frame.readUInt32BE(7))) return this.reset();
        if (poisons(frame)) return this.end();
        broker.write(frame);
      }
    });
    broker.on('data', (chunk: Buffer) => {
      for (const frame of toClient.split(chunk)) {
        if (isMethod(frame) && frame.readUInt32BE(7) === method.basicConsumeOk) {
          this.consumers.set(frame.toString('utf8', 12, 12 + frame[11]), frame.readUInt16BE(1));
        }
        if (!this.swallows(frame)) client.write(frame);
      }
    });
  }

  /** A delivery is a method frame and the frames of its content, on the same channel. */
  private swallows(frame: Buffer): boolean {
    if (frame.length < 8) return false;
    const channel = frame.readUInt16BE(1);
    if (!isMethod(frame)) return (frame[0] === 2 || frame[0] === 3) && this.swallowing.has(channel);
    this.swallowing.delete(channel);
    if (!this.deliveries.on || frame.readUInt32BE(7) !== method.basicDeliver) return false;
    this.swallowing.add(channel);
    this.deliveries.swallowed++;
    return true;
  }

  reset(): void {
    this.client.resetAndDestroy();
    this.broker.resetAndDestroy();
  }

  /** What had come before gets through. */
  private end(): void {
    this.client.removeAllListeners('data').resume();
    this.broker.removeAllListeners('data').resume().end();
    this.client.write(CLOSE_INTERNAL_ERROR);
  }

  cancelConsumers(): number {
    for (const [tag, channel] of this.consumers) this.client.write(cancelFrame(tag, channel));
    return this.consumers.size;
  }
}

function isMethod(frame: Buffer): boolean {
  return frame[0] === 1 && frame.length >= 12;
}

function cancelFrame(tag: string, channel: number): Buffer {
  const name = Buffer.from(tag);
  return methodFrame(channel, Buffer.concat([Buffer.from([0, 60, 0, 30, name.length]), name, Buffer.from([1])]));
}

/** connection.close with the code 541, INTERNAL_ERROR. */
export const CLOSE_INTERNAL_ERROR = methodFrame(
  0,
  Buffer.concat([Buffer.from([0, 10, 0, 50, 2, 29, 14]), Buffer.from('INTERNAL_ERROR'), Buffer.from([0, 0, 0, 0])]),
);

function methodFrame(channel: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(7);
  header[0] = 1;
  header.writeUInt16BE(channel, 1);
  header.writeUInt32BE(payload.length, 3);
  return Buffer.concat([header, payload, Buffer.from([0xce])]);
}

/** Cuts a stream into frames; what comes before them (the protocol header) is a piece of its own. */
class Frames {
  private rest = Buffer.alloc(0);

  constructor(private preamble: number) {}

  *split(chunk: Buffer): Generator<Buffer> {
    this.rest = Buffer.concat([this.rest, chunk]);
    for (;;) {
      const length =
        this.preamble > 0 ? this.preamble : this.rest.length < 7 ? Infinity : 8 + this.rest.readUInt32BE(3);
      if (this.rest.length < length) return;
      const frame = this.rest.subarray(0, length);
      this.rest = this.rest.subarray(length);
      this.preamble = 0;
      yield frame;
    }
  }
}
