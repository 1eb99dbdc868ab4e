import { once } from 'node:events';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { resolve } from 'node:path';
import type { Options } from 'amqplib';

const load = createRequire(__filename);
const internal = (file: string): any => load(resolve(__dirname, '../../node_modules/amqplib/lib', file)) as unknown;

/** The payload of the content header frame that amqplib writes for these options. */
export function contentHeader(
  exchange: string,
  routingKey: string,
  options: Options.Publish,
  bodyLength: number,
): Buffer {
  const { encodeProperties, BasicProperties } = internal('defs.js');
  const fields: unknown = internal('api_args.js').publish(exchange, routingKey, options);
  const frame = encodeProperties(BasicProperties, 1, bodyLength, fields) as Buffer;
  return frame.subarray(7, -1); // without type, channel, size and the end mark
}

/** Stands between a client and a broker and keeps what the client says. */
export class Recorder {
  private readonly chunks: Buffer[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(
    readonly url: string,
    private readonly server: ReturnType<typeof createServer>,
  ) {}

  static async start(brokerUrl: string): Promise<Recorder> {
    const { hostname, port } = new URL(brokerUrl);
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = Object.assign(new URL(brokerUrl), { host: `127.0.0.1:${(server.address() as AddressInfo).port}` });
    const recorder = new Recorder(url.href, server);
    server.on('connection', (client) => recorder.relay(client, connect(Number(port) || 5672, hostname)));
    return recorder;
  }

  get said(): Buffer {
    return Buffer.concat(this.chunks);
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private relay(client: Socket, broker: Socket): void {
    client.on('data', (data) => this.chunks.push(data));
    for (const [socket, other] of [
      [client, broker],
      [broker, client],
    ]) {
      this.sockets.add(socket);
      socket.pipe(other);
      socket.on('error', () => other.destroy());
    }
  }
}
