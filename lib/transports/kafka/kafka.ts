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
