import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import {
  connect,
  headers,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type NodeConnectionOptions,
} from '@nats-io/transport-node';
import { requeueHeaders, type RequeueOptions, type RequeueRequestOptions } from 'nestjs-messaging/requeue';
import { RequeueServer } from '../../../lib/requeue/requeue-server.js';
import { Seen } from '../../e2e/support/application.js';

const servers = new Set<RequeueServer>();
const connections = new Set<NatsConnection>();
const directories: string[] = [];

afterEach(async () => {
  await Promise.all([...servers].map((server) => server.stop()));
  servers.clear();
  await Promise.all([...connections].map((connection) => connection.close()));
  connections.clear();
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true, maxRetries: 3 });
});

/** A folder of one test; it is gone afterwards. */
export function dataDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'requeue-'));
  directories.push(path);
  return path;
}

/** A requeue service in this process, with what it told. */
export class TestService {
  readonly lines: string[] = [];
  readonly connectionErrors: Error[] = [];
  readonly writeErrors: Error[] = [];
  readonly adopted: number[] = [];
  closedCalls = 0;
  readonly server: RequeueServer;

  constructor(options: Partial<RequeueOptions>) {
    const line = (level: string) => (message: string) => void this.lines.push(`${level}: ${message}`);
    this.server = new RequeueServer(
      {
        dataDir: options.dataDir ?? dataDirectory(),
        interval: 50,
        shutdownTimeout: 2_000,
        onConnectionError: (error) => this.connectionErrors.push(error),
        onWriteError: (error) => this.writeErrors.push(error),
        onAdopted: (count) => this.adopted.push(count),
        onClosed: () => this.closedCalls++,
        ...options,
      },
      { log: line('log'), warn: line('warn'), error: line('error'), debug: line('debug') },
    );
    servers.add(this.server);
  }

  static async start(options: Partial<RequeueOptions>): Promise<TestService> {
    const service = new TestService(options);
    await service.server.start();
    return service;
  }

  queue(name = 'default') {
    return this.server.stats().queues.find(({ queue }) => queue === name);
  }
}

export interface Delivered {
  readonly subject: string;
  readonly body: string;
  readonly attempt: number;
  readonly id: string;
  readonly headers: MsgHdrs;
  readonly at: number;
}

/** A plain client: it sends to the service and is its subscriber. */
export class TestClient {
  private constructor(readonly connection: NatsConnection) {}

  static async connect(url: string, options: NodeConnectionOptions = {}): Promise<TestClient> {
    const connection = await connect({ servers: url, reconnectTimeWait: 20, maxReconnectAttempts: -1, ...options });
    connections.add(connection);
    return new TestClient(connection);
  }

  /** Hands a message over; resolves with the reply. */
  send(subject: string, body: string | Uint8Array = 'body', options: RequeueRequestOptions = {}): Promise<Msg> {
    return this.sendWith(subject, body, requeueHeaders(options, headers()));
  }

  sendWith(subject: string, body: string | Uint8Array, hdrs: MsgHdrs): Promise<Msg> {
    return this.connection.request(subject, body, { timeout: 5_000, headers: hdrs });
  }

  /** What a refusal says. */
  async refusal(subject: string, body: string | Uint8Array, hdrs: MsgHdrs): Promise<string> {
    return (await this.sendWith(subject, body, hdrs)).headers?.get('Requeue-Error') ?? 'accepted';
  }

  /** Subscribes; `answer` replies, or does not. By default every message is acknowledged. */
  async subscribe(
    subject: string,
    answer: (message: Msg) => void = (message) => message.respond(),
  ): Promise<Seen<Delivered>> {
    const seen = new Seen<Delivered>();
    this.connection.subscribe(subject, {
      callback: (error, message) => {
        if (error) throw error;
        seen.add({
          subject: message.subject,
          body: message.string(),
          attempt: Number(message.headers?.get('Requeue-Attempt')),
          id: message.headers?.get('Requeue-Id') ?? '',
          headers: message.headers!,
          at: Date.now(),
        });
        answer(message);
      },
    });
    await this.connection.flush();
    return seen;
  }
}

export function header(values: Readonly<Record<string, string>>): MsgHdrs {
  const made = headers();
  for (const [name, value] of Object.entries(values)) made.append(name, value);
  return made;
}
