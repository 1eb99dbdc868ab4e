import { InvalidOptionError } from '../errors/configuration-errors.js';
import { refuseUnset } from '../errors/option-checks.js';

/** Where the servers are, and who logs in. */
export interface ServerAddresses {
  /** Without user and password. */
  readonly servers: string[];
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** @throws InvalidOptionError; its text holds no secret */
export function serverAddresses(value: unknown): ServerAddresses {
  const given: unknown[] = Array.isArray(value) ? value : [value];
  if (given.length === 0) throw new InvalidOptionError('servers', value, 'at least one address');
  const servers: string[] = [];
  let login: Pick<ServerAddresses, 'user' | 'password'> = { user: undefined, password: undefined };
  for (const one of given) {
    const url = parse(one);
    refuseUnset('servers', url);
    const found = { user: decode(url.username), password: decode(url.password) };
    if (servers.length > 0 && (found.user !== login.user || found.password !== login.password))
      throw new InvalidOptionError('servers', undefined, 'the same user and password in every address');
    login = found;
    servers.push(`${url.protocol}//${url.host}`);
  }
  return { servers, ...login };
}

/** A user or password stands in an address. */
export function holdsCredentials(address: string): boolean {
  return /^([a-z]+:\/\/)?[^/?#]*@/i.test(address);
}

function parse(address: unknown): URL {
  const allowed = 'an address as nats://host:4222 or tls://host:4222';
  if (typeof address !== 'string' || address.trim() === '') throw new InvalidOptionError('servers', address, allowed);
  const whole = address.includes('://') ? address.trim() : `nats://${address.trim()}`;
  try {
    const url = new URL(whole);
    if (!['nats:', 'tls:'].includes(url.protocol) || url.hostname === '') throw new Error(allowed);
    return url;
  } catch {
    throw new InvalidOptionError('servers', whole, allowed);
  }
}

function decode(text: string): string | undefined {
  if (text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
