import type { DescribedBindings, TransportDescription } from '../../transport/description.js';
import type { Names } from './names.js';
import { checkSubscriptionOptions, type Settings } from './options.js';
import { topologyOperations } from './topology/topology.js';

const VERSION = { bindingVersion: '0.3.0' };

/** Exchanges and queues as the AMQP binding 0.3.0 of AsyncAPI names them. */
export function describeRabbitmq(settings: Settings, names: Names): TransportDescription {
  const [{ vhost, secure }] = settings.addresses;
  const exchange = (name: string, type: string): DescribedBindings => ({
    amqp: { is: 'routingKey', exchange: { name, type, durable: true, autoDelete: false, vhost }, ...VERSION },
  });
  return {
    protocol: secure ? 'amqps' : 'amqp',
    replyTo: { in: 'property', name: 'reply_to' },
    route: (_, { topic, native }) =>
      exchange(
        topic ?? names.exchange,
        (topic !== undefined && checkSubscriptionOptions(native).exchangeType) || 'topic',
      ),
    queue(topology, name) {
      const declared = topologyOperations(topology, names, settings).find(
        (one) => one.kind === 'queue' && one.name === name,
      );
      if (declared?.kind !== 'queue') return {};
      const { durable = true, autoDelete = false, arguments: args } = declared;
      const queue = { name, durable, exclusive: false, autoDelete, vhost };
      return { bindings: { amqp: { is: 'queue', queue, ...VERSION } }, details: { arguments: args } };
    },
    receive: () => ({ amqp: { ack: true, ...VERSION } }),
    send: () => ({ amqp: { deliveryMode: 2, mandatory: true, ...VERSION } }),
  };
}
