import { afterAll, describe } from '@jest/globals';
import { announcedKafka, type AvailableKafka } from './kafka/availability.js';
import { KafkaServer, type KafkaServerOptions } from './kafka/server.js';

/** Kafka for one describe block. Its nodes are stopped after the block. */
export class KafkaBroker {
  private readonly servers: KafkaServer[] = [];

  constructor(private readonly kafka: AvailableKafka) {
    afterAll(async () => void (await Promise.all(this.servers.map((server) => server.stop()))));
  }

  get version(): string {
    return this.kafka.version;
  }

  /** `host:port` of a broker that somebody else runs and others use; undefined: nodes are of this run. */
  get sharedUrl(): string | undefined {
    return this.kafka.url;
  }

  /** A node of its own. Takes about five seconds, and 300 MB. */
  async start(options?: KafkaServerOptions): Promise<KafkaServer> {
    const server = await KafkaServer.start(this.kafka.jars!, options);
    this.servers.push(server);
    return server;
  }

  /** The shared broker, or a new node. */
  async url(): Promise<string> {
    return this.kafka.url ?? (await this.start()).url;
  }
}

/** The block where there is Kafka; else a skipped one. `own`: for tests that disturb and kill nodes. */
export function describeKafka(name: string, block: (kafka: KafkaBroker) => void, { own = false } = {}): void {
  const { available, skipped } = announcedKafka();
  for (const kafka of available) {
    const title = `${name} (Kafka ${kafka.version})`;
    if (kafka.jars || !own) describe(title, () => block(new KafkaBroker(kafka)));
    else describe.skip(`${title}: not a node of this run`, () => block(new KafkaBroker(kafka)));
  }
  for (const { broker, reason } of skipped)
    describe.skip(`${name} (${broker}: ${reason.split('\n')[0]})`, () => block(new KafkaBroker({ version: 'none' })));
}
