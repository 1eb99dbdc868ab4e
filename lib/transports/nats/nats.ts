import type { TransportFactory } from '../../transport/transport.js';
import { checkOptions, type NatsOptions } from './options.js';
import { NatsTransport } from './transport.js';

/**
 * NATS JetStream, servers 2.9 and later, over `@nats-io/transport-node` and `@nats-io/jetstream`. The options are checked
 * at once; nothing is connected before the application starts.
 *
 * @example
 * MessagingModule.forRoot({ service: 'orders', transport: nats({ servers: 'nats://localhost:4222', stream: 'events' }) })
 */
export function nats(options: NatsOptions = {}): TransportFactory {
  const settings = checkOptions(options);
  return { system: 'nats', topic: settings.stream, create: () => new NatsTransport(settings) };
}
