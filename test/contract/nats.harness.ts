import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { nats } from 'nestjs-messaging/nats';
import type { HarnessOverrides, HarnessPeer, PeerMessage } from 'nestjs-messaging/testing';
import type { Destination } from '../../lib/transport/outgoing.js';
import type { Transport } from '../../lib/transport/transport.js';
import type { NatsServer } from '../brokers/nats/server.js';
import { plainHeaders, readPlain } from './nats-headers.js';
import { ProxiedHarness } from './proxied.harness.js';

const stream = 'contract';
/** What a client lost with its process comes again so late. */
const ackWait = 2_000;
/** What a server says before it ends a connection over what it cannot read. */
const lastWords = Buffer.from("-ERR 'Unknown Protocol Operation'\r\n");
const { capabilities } = nats({ stream, ackWait }).create();

/** A NATS server for the contract. */
export class NatsHarness extends ProxiedHarness {
  override readonly replies = true;
  override readonly provisioning = true;
  readonly capabilities = capabilities;
  readonly deduplicates = true;
  readonly countsLate = true;
  readonly faults;
  readonly peer: HarnessPeer = {
    publish: (to, message) => this.publish(to, message),
    get: (queue) => this.get(queue),
  };
  private straight!: string;
  private server?: NatsServer;
  private plain!: NatsConnection;
  private client!: JetStreamClient;
  private manager!: JetStreamManager;

  constructor(
    name: string,
    /** The server is one of this run: it can be killed. */
    ours: boolean,
  ) {
    super({ name, ours, lastWords });
    this.faults = {
      ...this.proxied,
      ...(ours ? { restart: () => this.restart() } : {}),
      deleteQueue: async (queue: string) => void (await this.manager.consumers.delete(stream, consumerOf(queue))),
      deleteDelays: async () => void (await this.manager.streams.delete(`${stream}-delayed`)),
    };
  }

  start(url: string, server?: NatsServer): Promise<void> {
    this.straight = url;
    this.server = server;
    return this.reach(url);
  }

  async remove(queues: readonly string[]): Promise<void> {
    const deletions = queues.map((queue) => this.manager.consumers.delete(stream, consumerOf(queue)));
    await Promise.allSettled(deletions);
  }

  protected transport(servers: string, overrides: HarnessOverrides): Transport {
    return nats({ servers, stream, ackWait, syncAlways: true, ...overrides }).create();
  }

  protected async connectPlain(): Promise<void> {
    const { host, username: user, password: pass } = new URL(this.straight);
    this.plain = await connect({ servers: host, reconnect: false, ...(user ? { user, pass } : {}) });
    this.client = jetstream(this.plain);
    this.manager = await jetstreamManager(this.plain);
  }

  protected async closePlain(): Promise<void> {
    await this.plain?.close();
  }

  private async restart(): Promise<void> {
    await this.server!.restart();
    await this.connectPlain();
  }

  private async publish(to: Destination, { id, body, headers, properties }: PeerMessage): Promise<void> {
    await this.client.publish(subjectOf(to), body, { headers: plainHeaders(id, headers, properties) });
  }

  private async get(queue: string): Promise<PeerMessage | undefined> {
    const consumer = await this.client.consumers.get(stream, consumerOf(queue));
    const message = await consumer.next({ expires: 1_000 });
    if (!message) return undefined;
    await message.ackAck();
    return { body: Buffer.from(message.data), ...readPlain(message.headers) };
  }
}

function subjectOf(to: Destination): string {
  if (to.kind === 'route') return `${to.topic ?? stream}.${to.route}`;
  return to.kind === 'queue' ? `_${stream}.${consumerOf(to.queue)}.queue` : `_${stream}.${consumerOf(to.route)}.dlq`;
}

function consumerOf(queue: string): string {
  return queue.replaceAll('.', '=2E');
}
