import { type BrokerUrl, type BrokerUrlOptions, splitUrls } from '../../transport/broker-url.js';
import { nats } from './nats.js';

/** NATS by its URL. */
export const natsUrl: BrokerUrl = {
  title: 'NATS',
  schemes: ['nats', 'tls'],
  example: 'nats://user:password@host',
  variable: 'NATS_URL',
  login: 'NATS_USER and NATS_PASSWORD, or NATS_TOKEN',
  settings: [
    {
      name: 'stream',
      value: 'name',
      default: 'events',
      what: 'the stream of the applications',
      option: 'nats.stream',
    },
    { name: 'creds', value: 'file', what: 'credentials file', option: 'nats.credentials' },
  ],
  factory(url, { settings: { stream, creds }, environment, connectTimeout }) {
    return nats({
      servers: splitUrls(url),
      ...(stream !== undefined && { stream }),
      ...(creds !== undefined && { credentials: creds }),
      options: { timeout: connectTimeout, ...(!url.includes('@') && login(environment)) },
    });
  },
};

function login({ NATS_USER: user, NATS_PASSWORD: pass, NATS_TOKEN: token }: BrokerUrlOptions['environment']): object {
  return token ? { token } : user ? { user, pass } : {};
}
