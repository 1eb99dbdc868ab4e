import { type BrokerUrl, splitUrls } from '../../transport/broker-url.js';
import { rabbitmq } from './rabbitmq.js';

/** RabbitMQ by its URL. */
export const rabbitmqUrl: BrokerUrl = {
  title: 'RabbitMQ',
  schemes: ['amqp', 'amqps'],
  example: 'amqp://user:password@host/vhost',
  variable: 'AMQP_URL',
  settings: [
    {
      name: 'exchange',
      value: 'name',
      default: 'events',
      what: 'the exchange of the applications',
      option: 'rabbitmq.exchange',
    },
  ],
  factory: (url, { settings: { exchange }, connectTimeout, name }) =>
    rabbitmq({
      urls: splitUrls(url),
      connectionName: name,
      connectTimeout,
      ...(exchange !== undefined && { exchange }),
    }),
};
