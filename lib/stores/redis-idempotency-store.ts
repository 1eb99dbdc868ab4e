import type { RedisClient } from '../clients/redis-client.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { IdempotencyStoreError } from '../errors/handling-errors.js';
import { checkShortText, knownKeys } from '../errors/option-checks.js';
import type {
  Claim,
  IdempotencyStore,
  IdempotencyStoreEnvironment,
  IdempotencyStoreFactory,
} from '../idempotency/idempotency-store.js';

export interface RedisIdempotencyStoreOptions {
  /** Of `ioredis` or `iovalkey`. The application closes it. */
  readonly client: RedisClient;
  /** What the names of keys begin with. Default `messaging:handled`. */
  readonly prefix?: string;
}

/** Past its end a key is kept for so long: clocks of processes may differ, and a late handler may complete its claim. */
const KEPT_MS = 3_600_000;

/** A key holds its token, or nothing when it is done, and when that ends by the clocks of those who ask. */
const READ = `local value = redis.call('GET', KEYS[1]) or '0 '
local ends, token = value:match('^(%d+) (.*)$')
ends = tonumber(ends)
local function put(ends, token, left) redis.call('SET', KEYS[1], ('%d %s'):format(ends, token), 'PX', left + ${KEPT_MS}) end
local now, mine, left = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
`;

const CLAIM = `${READ}if ends > now then return token == '' and -1 or ends - now end
put(now + left, mine, left)
return 0`;
const RENEW = `${READ}if token ~= mine then return 0 end
put(now + left, mine, left)
return 1`;
/** Also where its lease was over, if nobody took it. */
const COMPLETE = `${READ}if token ~= mine and ends > now then return 0 end
put(now + left, '', left)
return 1`;
const RELEASE = `${READ}if token ~= mine then return 0 end
redis.call('DEL', KEYS[1])
return 1`;

/**
 * Recognises duplicates in all processes that share a Redis server, as long as that keeps what it has answered: see
 * docs/redis.md. Leases and windows go by the clocks of the processes. @throws InvalidOptionError
 */
export function redisIdempotencyStore(options: RedisIdempotencyStoreOptions): IdempotencyStoreFactory {
  knownKeys('redisIdempotencyStore', options, ['client', 'prefix']);
  const { client, prefix = 'messaging:handled' } = options;
  if (typeof (client as Partial<RedisClient> | undefined)?.eval !== 'function')
    throw new InvalidOptionError('redisIdempotencyStore.client', typeof client, 'a client of ioredis or iovalkey');
  checkShortText('redisIdempotencyStore.prefix', prefix);
  return { kind: 'redis', create: (environment) => new RedisIdempotencyStore(client, prefix, environment) };
}

class RedisIdempotencyStore implements IdempotencyStore {
  constructor(
    private readonly client: RedisClient,
    private readonly prefix: string,
    private readonly environment: IdempotencyStoreEnvironment,
  ) {}

  async claim(key: string, token: string, leaseMs: number): Promise<Claim> {
    const left = await this.run(CLAIM, key, token, leaseMs);
    if (left === 0) return { state: 'acquired' };
    return left < 0 ? { state: 'done' } : { state: 'in-progress', leaseLeftMs: left };
  }

  async renew(key: string, token: string, leaseMs: number): Promise<boolean> {
    return (await this.run(RENEW, key, token, leaseMs)) === 1;
  }

  async complete(key: string, token: string, windowMs: number): Promise<boolean> {
    return (await this.run(COMPLETE, key, token, windowMs)) === 1;
  }

  async release(key: string, token: string): Promise<boolean> {
    return (await this.run(RELEASE, key, token, 0)) === 1;
  }

  async close(): Promise<void> {}

  private async run(script: string, key: string, token: string, ms: number): Promise<number> {
    const now = Math.floor(this.environment.clock.now());
    try {
      return (await this.client.eval(script, 1, `${this.prefix}:${key}`, now, token, Math.ceil(ms))) as number;
    } catch (error) {
      throw new IdempotencyStoreError(`Redis did not answer: ${(error as Error).message}`);
    }
  }
}
