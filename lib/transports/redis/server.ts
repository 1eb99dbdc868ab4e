import { BrokerConfigurationError, MissingPeerError } from '../../errors/configuration-errors.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import type { Redis } from 'ioredis';
import type { Settings, Address } from './options.js';
import { script } from './scripts.js';

/** The text of an error of the client; the caller redacts. */
export function describe(error: unknown): string {
  const { message, code, lastNodeError } = error as Error & { code?: string; lastNodeError?: Error };
  return lastNodeError?.message || message || code || String(error);
}

/** The server has answered, and the connection goes on. */
export function isAnswer(error: unknown): boolean {
  return (error as Error).name === 'ReplyError' && !isOverWhatWasSent(error) && !isElsewhere(error);
}

/** The server ends the connection over what it was sent. */
export function isOverWhatWasSent(error: unknown): boolean {
  return /Protocol error/.test((error as Error).message);
}

/** This node does not serve: it is a replica by now, or is not ready. Another connection may lead to one that does. */
export function isElsewhere(error: unknown): boolean {
  return /^(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|MOVED|UNBLOCKED)\b/.test((error as Error).message);
}

/** The stream, or its group, is not there. */
export function isGone(error: unknown): boolean {
  return /NOGROUP/.test((error as Error).message);
}

export function isOutOfMemory(error: unknown): boolean {
  return /^OOM\b/.test((error as Error).message);
}

/** Something else has one of our names. */
export function isForeign(error: unknown): boolean {
  return /WRONGTYPE/.test((error as Error).message);
}

/** An error of connecting, when waiting cannot cure it. */
export function connectionMisconfiguration(error: unknown, address: Address): MessagingError | undefined {
  if (error instanceof MissingPeerError) return error;
  const { code = '', message } = error as Error & { code?: string };
  const at = `Redis at ${address.host}`;
  if (/WRONGPASS|NOAUTH|invalid password|without any password|AUTH failed/.test(message))
    return new BrokerConfigurationError(`${at} refuses the credentials. Check user and password`);
  if (/NOPERM/.test(message))
    return new BrokerConfigurationError(`${at}: the user lacks a permission: ${address.redact(message)}`);
  if (/DB index|invalid DB/.test(message)) return new BrokerConfigurationError(`${at}: there is no such database`);
  if (/^MOVED/.test(message))
    return new BrokerConfigurationError(`${at} is a node of a cluster without the keys. Set «cluster» to true`);
  if (TLS_ERRORS.test(code)) return new BrokerConfigurationError(`${at}: TLS failed, ${address.redact(code)}`);
  return undefined;
}

const TLS_ERRORS = /^(ERR_SSL_|ERR_TLS_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

/** What a server says of itself, as far as messages depend on it. */
export interface Survey {
  /** It keeps what it has answered when its process is killed. */
  readonly durable: boolean;
  /** What of that is less than one may think, in sentences. */
  readonly remarks: readonly string[];
  /** The settings that say so, for health. */
  readonly server: Readonly<Record<string, string>>;
}

const OLDEST = 7;

/** @throws BrokerConfigurationError for a server that is too old; Error for one that does not serve now */
export async function surveyOf(
  client: Pick<Redis, 'info' | 'config'>,
  { address: { host } }: Settings,
): Promise<Survey> {
  const info = parse(await client.info());
  const at = `Redis at ${host}`;
  const version = info.valkey_version ?? info.redis_version ?? '';
  if (Number.parseInt(info.redis_version ?? '') < OLDEST)
    throw new BrokerConfigurationError(`${at} is ${version}: 7.0 and later are supported, and Valkey`);
  if (info.loading === '1') throw new Error('LOADING the server is reading its data');
  if (info.role !== undefined && info.role !== 'master') throw new Error('READONLY the server is a replica');
  // Who may not read the configuration, as with many providers, is told so.
  const fsync = await client.config('GET', 'appendfsync').then(
    (found) => found[1],
    () => undefined,
  );
  const logs = info.aof_enabled === '1';
  const policy = info.maxmemory_policy ?? 'noeviction';
  const evicts = info.maxmemory !== '0' && policy.startsWith('allkeys');
  const remarks = [
    !logs &&
      `${at} does not write what it is sent to a log (appendonly is off): what it has confirmed is lost with its process. Set «appendonly yes» and «appendfsync always»`,
    logs &&
      fsync === 'everysec' &&
      `${at} syncs its log once a second (appendfsync everysec): a machine that loses power loses up to 2 s of what was confirmed, a process that dies nothing`,
    logs &&
      fsync === 'no' &&
      `${at} leaves it to the system when its log is synced (appendfsync no): a machine that loses power loses what was confirmed`,
    logs &&
      fsync === undefined &&
      `${at} does not tell how it syncs its log (CONFIG GET is refused): whether what it confirms outlives a loss of power is not known`,
    evicts &&
      `${at} deletes keys when it is full (maxmemory-policy ${policy}), whole queues among them, without a word. Set «maxmemory-policy noeviction»`,
  ].filter((one) => one !== false);
  const server = {
    version,
    role: 'primary',
    appendonly: logs ? 'yes' : 'no',
    appendfsync: fsync ?? 'not told',
    maxmemory: info.maxmemory ?? 'not told',
    'maxmemory-policy': policy,
  };
  return { durable: logs && !evicts, remarks, server };
}

function parse(info: string): Partial<Record<string, string>> {
  const pairs = info.split(/\r?\n/).flatMap((line) => {
    const at = line.indexOf(':');
    return at < 0 || line.startsWith('#') ? [] : [[line.slice(0, at), line.slice(at + 1)]];
  });
  return Object.fromEntries(pairs) as Partial<Record<string, string>>;
}

/** Any key of ours. What the user may not run of what the others do. It changes nothing. */
export const permissions = script(
  `local key, refused = KEYS[1], {}
local calls = {
  {'XADD', key, 'NOMKSTREAM', '*', 'a', 'b'}, {'XACK', key, 'g', '0-0'}, {'XDEL', key, '0-0'}, {'XLEN', key},
  {'XRANGE', key, '-', '-'}, {'XCLAIM', key, 'g', 'c', 0, '0-0'}, {'XPENDING', key, 'g'}, {'XINFO', 'STREAM', key},
  {'XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', key, '>'}, {'XGROUP', 'DELCONSUMER', key, 'g', 'c'},
  {'XGROUP', 'CREATE', key, 'g', '0'}, {'ZADD', key, 'XX', 0, 'a'}, {'ZREM', key, 'a'}, {'ZCARD', key}, {'ZSCORE', key, 'a'},
  {'ZRANGE', key, 0, 0}, {'ZRANGEBYLEX', key, '-', '-'}, {'ZRANGEBYSCORE', key, 0, 0}, {'ZCOUNT', key, 0, 0},
  {'HGET', key, 'a'}, {'HEXISTS', key, 'a'}, {'HDEL', key, 'a'}, {'HGETALL', key}, {'HKEYS', key}, {'HVALS', key},
  {'GET', key}, {'DEL', key}, {'EXISTS', key}, {'SET', key, '', 'XX'}, {'TIME'}, {'PUBLISH', ARGV[1], ''},
  {'HSETNX', key, 'a', ''}, {'HSET', key, 'a', ''}, {'DEL', key}, {'SADD', key, 'a'}, {'SREM', key, 'a'}}
for _, call in ipairs(calls) do
  local answer = redis.pcall(unpack(call))
  if type(answer) == 'table' and answer.err and answer.err:find('ermission') or type(answer) == 'table' and answer.err and answer.err:find('executing the script') then
    refused[#refused + 1] = call[1]:lower() .. ': ' .. answer.err
  end
end
return refused`,
);
