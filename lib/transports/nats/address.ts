import { readFile } from 'node:fs/promises';
import type { Authenticator, NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import { BrokerConfigurationError } from '../../errors/configuration-errors.js';
import { attempt } from './attempt.js';
import { loadNats, type NatsClient } from './peers.js';
import { percentDecoded, redactor } from '../kit/redactor.js';

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

export function addressOf(
  servers: readonly URL[] | NatsConnection,
  native: Readonly<NodeConnectionOptions>,
  credentials: string | undefined,
): Address {
  if (!isList(servers)) {
    return {
      host: servers.getServer().replace(/^.*@/, ''),
      client: servers,
      open: async () => servers,
      redact: redactor([]),
    };
  }
  const [first] = servers;
  const hosts = servers.map((url) => url.host + (url.port === '' ? ':4222' : ''));
  const user = percentDecoded(first.username);
  const pass = percentDecoded(first.password);
  // A URL with a user alone holds a token.
  const login = user === '' ? {} : pass === '' ? { token: user } : { user, pass };
  return {
    host: hosts.join(', '),
    redact: redactor([user && !pass ? user : pass, first.password, native.pass, native.token]),
    open: async (name) => {
      const client = await loadNats();
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

function isList(servers: readonly URL[] | NatsConnection): servers is readonly URL[] {
  return Array.isArray(servers);
}

/** The client finds out too late that the file holds something else, and says it in words that are a passing reason's. */
async function authenticatorOf(path: string, { credsAuthenticator }: NatsClient): Promise<Authenticator> {
  const authenticator = credsAuthenticator(await readFile(path));
  try {
    authenticator();
  } catch {
    throw new BrokerConfigurationError(
      `nats.credentials: the file is no creds file. It has a user's JWT and seed, as «nsc generate creds» writes them`,
    );
  }
  return authenticator;
}
