import { randomUUID } from 'node:crypto';
import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { nats } from 'nestjs-messaging/nats';
import { type HarnessPeer, type PeerMessage, POISON, type TransportHarness } from 'nestjs-messaging/testing';
import { systemClock } from '../../lib/clock/clock.js';
import type { Destination } from '../../lib/transport/outgoing.js';
import type { NatsServer } from '../brokers/nats/server.js';
import { Proxy } from '../brokers/proxy.js';
import { eager } from './memory.harness.js';
import { plainHeaders, readPlain } from './nats-headers.js';

const stream = 'contract';
/** What a client lost with its process comes again so late. */
const ackWait = 2_000;
/** What a server says before it ends a connection over what it cannot read. */
const lastWords = Buffer.from("-ERR 'Unknown Protocol Operation'\r\n");
const { capabilities } = nats({ stream, ackWait }).create();

/** Its secret, unmistakable where it shows. */
export const secret = `planted-${randomUUID()}`;

/** A NATS server for the contract: transports reach it through a proxy, plain clients directly. */
export class NatsHarness implements TransportHarness {
  readonly capabilities = capabilities;
  readonly deduplicates = true;
  readonly countsLate = true;
  readonly listsQueues = true;
  readonly secret?: string;
  readonly misconfigured?: TransportHarness['misconfigured'];
  readonly faults: NonNullable<TransportHarness['faults']>;
  readonly peer: HarnessPeer;
  private proxy!: Proxy;
  private url!: string;
  private server?: NatsServer;
  private plain!: NatsConnection;
  private client!: JetStreamClient;
  private manager!: JetStreamManager;

  constructor(
    readonly name: string,
    /** The server is one of this run, with `secret` as its password: it can be killed. */
    ours: boolean,
  ) {
    if (ours) {
      this.secret = secret;
      this.misconfigured = () => this.transport({ password: `wrong-${secret}` });
    }
    this.faults = {
      disconnect: async () => void this.proxy.reset(),
      refuse: (on) => this.proxy.refuse(on),
      dropConfirms: async (on) => this.dropConfirms(on),
      poison: async (on) => this.proxy.endOver(on ? Buffer.from(POISON) : undefined, lastWords),
      ...(ours ? { restart: () => this.restart() } : {}),
      deleteQueue: async (queue) => void (await this.manager.consumers.delete(stream, consumerOf(queue))),
      deleteDelays: async () => void (await this.manager.streams.delete(`${stream}-delayed`)),
    };
    this.peer = {
      publish: (to, message) => this.publish(to, message),
      get: (queue) => this.get(queue),
    };
  }

  async start(url: string, server?: NatsServer): Promise<void> {
    this.url = url;
    this.server = server;
    this.proxy = await Proxy.start(url);
    await this.connectPlain();
  }

  async stop(): Promise<void> {
    await this.proxy?.close();
    await this.plain?.close();
  }

  create({ maxBytes }: { readonly maxBytes?: number } = {}): ReturnType<TransportHarness['create']> {
    return this.transport({ maxBytes });
  }

  environment(): ReturnType<TransportHarness['environment']> {
    return {
      clock: systemClock,
      service: 'contract',
      random: Math.random,
      reconnect: eager,
      confirmTimeout: 5_000,
      provision: true,
    };
  }

  async remove(queues: readonly string[]): Promise<void> {
    const deletions = queues.map((queue) => this.manager.consumers.delete(stream, consumerOf(queue)));
    await Promise.allSettled(deletions);
  }

  private transport({ maxBytes, password }: { maxBytes?: number; password?: string }): ReturnType<typeof this.create> {
    const url = new URL(this.proxy.url(this.url));
    if (password !== undefined) url.password = password;
    return nats({ servers: url.href, stream, ackWait, syncAlways: true, ...(maxBytes ? { maxBytes } : {}) }).create();
  }

  /** The plain client goes down with the server, and is not under test. */
  private async restart(): Promise<void> {
    await this.server!.restart();
    await this.connectPlain();
  }

  /** A stream of bytes with a hole in it cannot go on: the connection ends with the fault. */
  private dropConfirms(on: boolean): void {
    this.proxy.dropFromBroker(on);
    if (!on) this.proxy.reset();
  }

  private async connectPlain(): Promise<void> {
    const { host, username: user, password: pass } = new URL(this.url);
    this.plain = await connect({ servers: host, reconnect: false, ...(user ? { user, pass } : {}) });
    this.client = jetstream(this.plain);
    this.manager = await jetstreamManager(this.plain);
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
