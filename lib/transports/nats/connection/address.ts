import { readFile } from 'node:fs/promises';
import type { Authenticator, NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import { BrokerConfigurationError, InvalidOptionError } from '../../../errors/configuration-errors.js';
import { refuseUnset } from '../../../errors/option-checks.js';
import { attempt } from './attempt.js';
import { loadNats, type NatsCore } from './peers.js';
import { percentDecoded, redactor, redactUrl } from '../../kit/redactor.js';

/** How long an attempt to connect, a half-open connection included, is waited for unless the options say otherwise. */
const DEFAULTS = { timeout: 10_000, pingInterval: 10_000, maxPingOut: 2, noAsyncTraces: true };

/** Where the servers are. The credentials live in the closures only, so that no inspected object shows them. */
export interface Address {
  /** `host:port`, or several of them. */
  readonly host: string;
  /** A connection made by the application: it reconnects by itself and is not closed here. */
  readonly client?: NatsConnection;
  /** Connects once; rejects with the client's raw error. */
  open(name: string): Promise<NatsConnection>;
  /** Takes the credentials out of a text. */
  redact(text: string): string;
}

/**
 * Addresses of servers as they are given: `nats://`, `tls://` or without a scheme.
 * @throws InvalidOptionError; its text holds no secret
 */
export function serverUrls(option: string, given: unknown): readonly URL[] {
  const list: unknown = typeof given === 'string' ? [given] : given;
  if (!Array.isArray(list) || list.length === 0)
    throw new InvalidOptionError(option, given, 'a URL or a list of at least one URL');
  const urls = list.map((text: unknown) => {
    const url = typeof text === 'string' ? text.trim().replace(/^(?!.*:\/\/)/, 'nats://') : '';
    if (!/^(nats|tls):\/\/./.test(url) || !URL.canParse(url))
      throw new InvalidOptionError(option, redactUrl(String(text)), 'nats://user:password@host:port or tls://…');
    const address = new URL(url);
    refuseUnset(option, address);
    return address;
  });
  const { username, password } = loginOf(urls);
  if (urls.some((url) => url.username !== '' && (url.username !== username || url.password !== password)))
    throw new InvalidOptionError(option, undefined, 'the same user and password in every address');
  return urls;
}

/** The address that says who logs in, everywhere. */
function loginOf(servers: readonly URL[]): URL {
  return servers.find(({ username }) => username !== '') ?? servers[0];
}

export function addressOf(
  servers: readonly URL[] | NatsConnection,
  native: Readonly<NodeConnectionOptions>,
  credentials: string | undefined,
  load: () => Promise<NatsCore> = loadNats,
): Address {
  if ('closed' in servers) {
    return {
      host: servers.getServer().replace(/^.*@/, ''),
      client: servers,
      open: async () => servers,
      redact: redactor([]),
    };
  }
  const hosts = servers.map((url) => url.host + (url.port === '' ? ':4222' : ''));
  const { username, password } = loginOf(servers);
  const user = percentDecoded(username);
  const pass = percentDecoded(password);
  // A URL with a user alone holds a token.
  const login = user === '' ? {} : pass === '' ? { token: user } : { user, pass };
  return {
    host: hosts.join(', '),
    redact: redactor([user && !pass ? user : pass, password, native.pass, native.token]),
    open: async (name) => {
      const client = await load();
      const authenticator = credentials === undefined ? undefined : await authenticatorOf(credentials, client);
      const options: NodeConnectionOptions = {
        ...DEFAULTS,
        ...(servers.some((url) => url.protocol === 'tls:') && { tls: {} }),
        ...login,
        ...(authenticator && { authenticator }),
        name,
        ...native,
        servers: hosts,
        reconnect: false,
      };
      return attempt(() => client.connect(options));
    },
  };
}

/** The client finds out too late that the file holds something else, and says it in words that are a passing reason's. */
async function authenticatorOf(path: string, { credsAuthenticator }: NatsCore): Promise<Authenticator> {
  const authenticator = credsAuthenticator(await readFile(path));
  try {
    authenticator();
  } catch {
    throw new BrokerConfigurationError(
      `${path} is no creds file: it has a user's JWT and seed, as «nsc generate creds» writes them`,
    );
  }
  return authenticator;
}
