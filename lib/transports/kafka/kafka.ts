import { type BrokerUrl, splitUrls } from '../../transport/broker-url.js';
import type { TransportFactory } from '../../transport/transport.js';
import { checkOptions, type KafkaOptions } from './options.js';
import { KafkaTransport } from './transport.js';

/**
 * Apache Kafka 4 over `kafkajs`. The options are checked at once; nothing is connected before the application starts.
 *
 * @example
 * MessagingModule.forRoot({ service: 'orders', transport: kafka({ brokers: 'localhost:9092', topic: 'events' }) })
 */
export function kafka(options: KafkaOptions = {}): TransportFactory {
  const settings = checkOptions(options);
  return { system: 'kafka', topic: settings.topic, create: () => new KafkaTransport(settings) };
}

/** Kafka by its URL. */
export const kafkaUrl: BrokerUrl = {
  title: 'Kafka',
  schemes: ['kafka', 'kafkas'],
  example: 'kafka://host',
  variable: 'KAFKA_URL',
  settings: [
    { name: 'topic', value: 'name', default: 'events', what: 'the topic of the applications', option: 'kafka.topic' },
    {
      name: 'mechanism',
      value: 'name',
      default: 'plain',
      what: 'how the user logs in, or scram-sha-256, scram-sha-512',
      option: 'kafka.mechanism',
    },
  ],
  factory(url, { settings: { topic, mechanism }, connectTimeout }) {
    return kafka({
      brokers: splitUrls(url),
      ...(topic !== undefined && { topic }),
      ...(mechanism !== undefined && { mechanism: mechanism as KafkaOptions['mechanism'] }),
      options: { connectionTimeout: connectTimeout },
    });
  },
};
