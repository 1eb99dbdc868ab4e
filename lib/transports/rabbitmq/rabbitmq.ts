import type { TransportFactory } from '../../transport/transport.js';
import { checkOptions, type RabbitmqOptions } from './options.js';
import { RabbitmqTransport } from './transport.js';

/**
 * RabbitMQ 3.10 – 4.3, over amqplib. The options are checked at once; nothing is connected before the application starts.
 *
 * @example
 * MessagingModule.forRoot({ service: 'orders', transport: rabbitmq({ url: 'amqp://localhost', exchange: 'events' }) })
 */
export function rabbitmq(options: RabbitmqOptions = {}): TransportFactory {
  const settings = checkOptions(options);
  const [{ vhost: namespace }] = settings.addresses;
  return { system: 'rabbitmq', namespace, topic: settings.exchange, create: () => new RabbitmqTransport(settings) };
}
