import type { BrokerUrl } from '../../transport/broker-url.js';
import type { TransportFactory } from '../../transport/transport.js';
import { checkOptions, type SqsOptions } from './options.js';
import { SqsTransport } from './transport.js';

/**
 * Queues of Amazon SQS over `@aws-sdk/client-sqs`. The options are checked at once; nothing is asked before the
 * application starts.
 *
 * @example
 * MessagingModule.forRoot({ service: 'orders', transport: sqs({ region: 'eu-central-1' }) })
 */
export function sqs(options: SqsOptions = {}): TransportFactory {
  const settings = checkOptions(options);
  return { system: 'sqs', topic: settings.topic, create: () => new SqsTransport(settings) };
}

/** SQS by a URL: `sqs://eu-central-1`, or `sqs+http://localhost:4566` for an emulator. */
export const sqsUrl: BrokerUrl = {
  title: 'SQS',
  schemes: ['sqs', 'sqs+http', 'sqs+https'],
  example: 'sqs://eu-central-1',
  variable: 'SQS_URL',
  settings: [
    {
      name: 'queue-prefix',
      value: 'name',
      default: 'messaging-',
      what: 'what the names of queues begin with',
      option: 'sqs.prefix',
    },
  ],
  factory(url, { settings: { 'queue-prefix': prefix } }) {
    const [, endpoint, region] = /^sqs(?:\+(https?:\/\/[^?#]+)|:\/\/([^/?#]+)\/?)$/.exec(url) ?? [];
    return sqs({
      ...(endpoint !== undefined && { endpoint }),
      ...(region !== undefined && { region }),
      ...(prefix !== undefined && { prefix }),
    });
  },
};
