import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import type { TransportHarness } from 'nestjs-messaging/testing';
import { kafka } from '../../lib/transports/kafka/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { Proxy } from '../brokers/proxy.js';
import { withAdmin } from '../kafka/admin.js';
import { KafkaPeer, queueTopic } from './kafka.peer.js';
import { environmentOfBroker } from './proxied.harness.js';

const topic = 'contract';
/** Of the first message of a queue on: what its member lost with its process comes again so late. */
const sessionTimeout = 6_000;
const { capabilities } = kafka({ topic, sessionTimeout }).create();

/** Its secret, unmistakable where it shows. */
export const secret = `planted-${randomUUID()}`;
export const user = { name: 'contract', password: secret };

/** Kafka for the contract: transports reach it through a proxy that it tells them of, plain clients directly. */
export class KafkaHarness implements TransportHarness {
  readonly name = 'Kafka';
  readonly capabilities = capabilities;
  readonly lacks = ['unroutable', 'deliveryCount', 'confirmedAcks', 'bindings', 'sharing', 'expiry'] as const;
  readonly patienceMs = 25_000;
  readonly secret = secret;
  readonly peer = new KafkaPeer(() => this.plain(), topic);
  readonly faults: NonNullable<TransportHarness['faults']>;
  readonly environment = environmentOfBroker;
  private proxy!: Proxy;
  private server!: KafkaServer;

  constructor() {
    this.faults = {
      disconnect: async () => void this.proxy.reset(),
      refuse: (on) => this.proxy.refuse(on),
      dropConfirms: async (on) => this.dropConfirms(on),
      restart: () => this.server.restart(),
      deleteQueue: (queue) => this.deleteTopics((name) => name === queueTopic(topic, queue)),
      deleteDelays: () => this.deleteTopics((name) => name.startsWith(`${topic}.delay.`)),
    };
  }

  /** `start`: a node on this port that tells clients to connect to this address. */
  async start(start: (port: number, advertised: string) => Promise<KafkaServer>, port: number): Promise<void> {
    this.proxy = await Proxy.start(port);
    this.server = await start(port, `127.0.0.1:${this.proxy.port}`);
  }

  async stop(): Promise<void> {
    await this.proxy?.close();
  }

  create({ maxBytes }: { readonly maxBytes?: number } = {}): ReturnType<TransportHarness['create']> {
    return this.transport(secret, maxBytes);
  }

  misconfigured(): ReturnType<TransportHarness['create']> {
    return this.transport(`wrong-${secret}`);
  }

  /** Nothing: what a queue has is read by its own group alone. */
  async remove(): Promise<void> {}

  /** A plain client, around the proxy. */
  client(): Kafka {
    return new Kafka({
      brokers: [`127.0.0.1:${this.proxy.port}`],
      logLevel: logLevel.NOTHING,
      sasl: { mechanism: 'plain', username: user.name, password: secret },
    });
  }

  private plain(): Kafka {
    return new Kafka({ brokers: [this.server.innerUrl], logLevel: logLevel.NOTHING });
  }

  private async deleteTopics(isMeant: (name: string) => boolean): Promise<void> {
    await withAdmin(this.server, async (admin) => {
      await admin.deleteTopics({ topics: (await admin.listTopics()).filter(isMeant) });
    });
  }

  private transport(password: string, maxBytes?: number): ReturnType<typeof this.create> {
    return kafka({
      brokers: `kafka://${user.name}:${password}@127.0.0.1:${this.proxy.port}`,
      topic,
      partitions: 1,
      sessionTimeout,
      ...(maxBytes ? { maxBytes } : {}),
    }).create();
  }

  /** A stream of bytes with a hole in it cannot go on: the connections end with the fault. */
  private dropConfirms(on: boolean): void {
    this.proxy.dropFromBroker(on);
    if (!on) this.proxy.reset();
  }
}
