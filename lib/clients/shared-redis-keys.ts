import { type Clock, systemClock } from '../clock/clock.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { MessagingError } from '../errors/messaging-error.js';
import { knownKeys, numberBetween } from '../errors/option-checks.js';
import type { RedisBytesClient } from './redis-client.js';

/** Options of a store in Redis 7.0 or later, or Valkey. */
export interface RedisStoreOptions {
  /** Of `ioredis` or `iovalkey`, also of a cluster. The application closes it. */
  readonly client: RedisBytesClient;
  /** What the names of all keys begin with, in braces: a cluster keeps them together. Default: `messaging:` and what is kept. */
  readonly prefix?: string;
  /** Milliseconds that a call may wait for the server before it fails. Default 5,000. */
  readonly waitTimeout?: number;
}

/** The keys of a store: all that the server has to know of it. */
export interface RedisKeysDefinition {
  /** What the store is called in errors. */
  readonly noun: string;
  /** The store's own error. */
  readonly Failure: new (message: string) => MessagingError;
  /** The name of each key, and the type of what it holds. */
  readonly keys: Readonly<Record<string, 'string' | 'hash' | 'zset'>>;
}

/** A script over all keys of a store. */
export interface RedisScript {
  readonly text: string;
  /** It adds what was not there: so it is refused while memory is full, and where it would not be kept. */
  readonly adds: boolean;
}

/** Where the keys are, and whose client reaches them. */
export interface SharedRedisPlace {
  readonly client: RedisBytesClient;
  readonly prefix: string;
  readonly waitMs: number;
}

type Value = string | number | Buffer;

/** A server is asked again after so long what it is like: it may be another by now, or set otherwise. Milliseconds. */
const ASKED_EVERY_MS = 60_000;

/** The options of a store, checked; `store` is what it is called. @throws InvalidOptionError */
export function sharedRedisPlace(store: string, options: RedisStoreOptions, defaultPrefix: string): SharedRedisPlace {
  knownKeys(store, options, ['client', 'prefix', 'waitTimeout']);
  const { client, prefix = defaultPrefix, waitTimeout = 5_000 } = options;
  const given = client as Partial<RedisBytesClient> | undefined;
  if (typeof given?.callBuffer !== 'function')
    throw new InvalidOptionError(`${store}.client`, typeof client, 'a client of ioredis or iovalkey');
  if (typeof prefix !== 'string' || !/^[^{}\s]{1,100}$/.test(prefix))
    throw new InvalidOptionError(`${store}.prefix`, prefix, 'up to 100 characters without braces and spaces');
  return { client, prefix, waitMs: numberBetween(`${store}.waitTimeout`, waitTimeout, 100, 60_000) };
}

/**
 * A script that knows its keys by their names. It begins with a look at their types, so that nothing is done by
 * half where something else has one of them; whoever writes one puts what can fail first.
 */
export function redisScript({ keys }: RedisKeysDefinition, body: string, adds = false): RedisScript {
  const names = Object.keys(keys);
  const text = `#!lua${adds ? '' : ' flags=allow-oom'}
local ${names.join(', ')} = unpack(KEYS)
for at, kind in ipairs({${names.map((name) => `'${keys[name]}'`).join(', ')}}) do
  local found = redis.call('TYPE', KEYS[at]).ok
  if found ~= 'none' and found ~= kind then return redis.error_reply('FOREIGN ' .. found .. ' ' .. KEYS[at]) end
end
${body}`;
  return { text, adds };
}

/** Reads the time that a script is given as its first value. */
export const NOW = `local now = tonumber(ARGV[1])
if not now then local time = redis.call('TIME') now = time[1] * 1000 + math.floor(time[2] / 1000) end
`;

/** Errors that waiting does not cure; the third one is that of a server before 7.0. */
const HOPELESS = /^(FOREIGN|NOPERM|NOAUTH|WRONGPASS|ERR Error compiling script)/;

/** What the server says of itself, and what the user may not run of what scripts do. It changes nothing. */
const SURVEY = `#!lua flags=allow-oom
local told = {}
if redis.acl_check_cmd('info') then told[1] = redis.call('INFO', 'memory') .. redis.call('INFO', 'persistence')
else told[1] = '' told[2] = 'info' end
for _, name in ipairs(ARGV) do
  for at, key in ipairs(KEYS) do
    if not redis.acl_check_cmd(name, key) then told[#told + 1] = name break end
  end
end
return told`;

/** Keys in a Redis server that processes of several machines share, changed by scripts. */
export class SharedRedisKeys {
  private readonly keys: readonly string[];
  private askedAt = -Infinity;
  private asking: Promise<void> | undefined;

  constructor(
    private readonly place: SharedRedisPlace,
    private readonly definition: RedisKeysDefinition,
    private readonly scripts: readonly RedisScript[],
    private readonly clock: Clock,
    /** What keeps these keys apart from others of the same prefix. */
    part = '',
  ) {
    this.keys = Object.keys(definition.keys).map((name) => `{${place.prefix}}:${part}${name}`);
  }

  /** The time, for a script that begins with `NOW`: clocks of machines differ, so that it is the server's, but for tests that move their own. */
  get now(): number | string {
    return this.clock === systemClock ? '' : Math.floor(this.clock.now());
  }

  /** A server that is down is no reason not to start. @throws the store's error for what waiting cannot cure */
  async open(): Promise<void> {
    try {
      await this.survey();
      await this.run(redisScript(this.definition, '').text);
    } catch (error) {
      if (error instanceof this.definition.Failure) throw error;
      if (HOPELESS.test((error as Error).message)) throw this.failure((error as Error).message);
    }
  }

  /** Something was done as a whole, or, where this rejects, perhaps not at all. @throws the store's error */
  async call<T>({ text, adds }: RedisScript, ...values: Value[]): Promise<T> {
    try {
      if (adds && this.clock.monotonic() - this.askedAt >= ASKED_EVERY_MS)
        await (this.asking ??= this.survey().finally(() => (this.asking = undefined)));
      return await this.run<T>(text, ...values);
    } catch (error) {
      throw error instanceof this.definition.Failure ? error : this.failure((error as Error).message);
    }
  }

  /** @throws the store's error where what is added would not be kept, or may not be; the client's where it has no answer */
  private async survey(): Promise<void> {
    const { scripts } = this;
    const calls = scripts.flatMap(({ text }) => [...text.matchAll(/redis\.call\('(\w+)'/g)].map(([, name]) => name));
    const told = await this.run<Buffer[]>(SURVEY, ...new Set(calls));
    const [info, ...refused] = told.map(String);
    const setting = (name: string): string => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? '';
    const policy = setting('maxmemory_policy');
    if (refused.length > 0)
      throw this.failure(`the user may not run there what it needs: ${refused.join(', ').toLowerCase()}`);
    if (setting('maxmemory') !== '0' && policy.startsWith('allkeys'))
      throw this.failure(
        `the server deletes keys when it is full (maxmemory-policy ${policy}). Set «maxmemory-policy noeviction»`,
      );
    if (setting('aof_enabled') === '0')
      throw this.failure(
        'what the server has confirmed is lost with its process (appendonly is off). Set «appendonly yes» and «appendfsync always»',
      );
    this.askedAt = this.clock.monotonic();
  }

  private run<T>(script: string, ...values: Value[]): Promise<T> {
    const { client, waitMs } = this.place;
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new Error(`no answer within ${waitMs} ms`));
      const cancel = this.clock.after(waitMs, late, { background: true });
      const answer = client.callBuffer('eval', script, this.keys.length, ...this.keys, ...values);
      answer.then((value) => resolve(value as T), reject).finally(cancel);
    });
  }

  /** Without the client's error as its cause: that shows what was sent. */
  private failure(reason: string): MessagingError {
    const { noun, Failure } = this.definition;
    const [, kind, key] = /^FOREIGN (\S+) (.*)/s.exec(reason) ?? [];
    const told = key === undefined ? reason : `its key «${key}» holds a ${kind} of somebody else`;
    return new Failure(`The ${noun} in Redis, «${this.place.prefix}», failed: ${told}`);
  }
}
