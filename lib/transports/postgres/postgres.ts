import type { BrokerUrl } from '../../transport/broker-url.js';
import type { TransportFactory } from '../../transport/transport.js';
import { checkOptions, type PostgresOptions } from './options.js';
import { PostgresTransport } from './transport.js';

/**
 * Queues in PostgreSQL, 15 and later, over `pg`. The options are checked at once; nothing is connected before the
 * application starts.
 *
 * @example
 * MessagingModule.forRoot({ service: 'orders', transport: postgres({ url: process.env.DATABASE_URL }) })
 */
export function postgres(options: PostgresOptions = {}): TransportFactory {
  const settings = checkOptions(options);
  return { system: 'postgres', topic: settings.topic, create: () => new PostgresTransport(settings) };
}

/** PostgreSQL by its URL. */
export const postgresUrl: BrokerUrl = {
  title: 'PostgreSQL',
  schemes: ['postgres', 'postgresql'],
  example: 'postgres://host/shop',
  variable: 'POSTGRES_URL',
  settings: [
    {
      name: 'schema',
      value: 'name',
      default: 'messaging',
      what: 'the schema of the tables',
      option: 'postgres.schema',
    },
  ],
  factory(url, { settings: { schema }, connectTimeout }) {
    return postgres({
      url,
      ...(schema !== undefined && { schema }),
      options: { connectionTimeoutMillis: connectTimeout },
    });
  },
};
