import {
  NOW,
  type RedisKeysDefinition,
  redisScript,
  type RedisStoreOptions,
  SharedRedisKeys,
  sharedRedisPlace,
} from '../clients/shared-redis-keys.js';
import type { Change, CoordinationStore, CoordinationStoreFactory } from '../coordination/coordination-store.js';
import { type Found, OptimisticChanges, type VersionedEntries } from '../coordination/optimistic-changes.js';
import { CoordinationStoreError } from '../errors/coordination-errors.js';

const definition: RedisKeysDefinition = {
  noun: 'coordination store',
  Failure: CoordinationStoreError,
  keys: { states: 'hash', ends: 'zset' },
};

/** The state that counts now, or false. */
const CURRENT = `${NOW}local key = ARGV[2]
local state = tonumber(redis.call('ZSCORE', ends, key) or 0) > now and redis.call('HGET', states, key)
`;
const READ = redisScript(definition, `${CURRENT}return {string.format('%d', now), state}`);
/**
 * The values are the time, the key, whether there has to be a state and which one, whether it is deleted, what is written,
 * and for how long. Entries are small and go by themselves, so that it also runs while memory is full.
 */
const WRITE = redisScript(
  definition,
  `${CURRENT}if (ARGV[3] == '1' and state ~= ARGV[4]) or (ARGV[3] == '0' and state) then
  return {string.format('%d', now), state}
end
if ARGV[5] == '1' then
  redis.call('HDEL', states, key)
  redis.call('ZREM', ends, key)
else
  redis.call('HSET', states, key, ARGV[6])
  redis.call('ZADD', ends, now + ARGV[7], key)
end
for _, over in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 10)) do
  redis.call('HDEL', states, over)
  redis.call('ZREM', ends, over)
end
return false`,
);

/**
 * Coordinates all processes that share a Redis server, as long as that keeps what it has answered: see docs/redis.md. The
 * clock that counts is the server's. @throws InvalidOptionError
 */
export function redisCoordinationStore(options: RedisStoreOptions): CoordinationStoreFactory {
  const place = sharedRedisPlace('redisCoordinationStore', options, 'messaging:coordination');
  return {
    kind: 'redis',
    create: ({ clock }) => {
      const keys = new SharedRedisKeys(place, definition, [READ, WRITE], clock);
      return new RedisCoordinationStore(keys, new OptimisticChanges(new RedisEntries(keys), clock, place.waitMs));
    },
  };
}

type State = string | undefined;

class RedisEntries implements VersionedEntries<State> {
  constructor(private readonly keys: SharedRedisKeys) {}

  async read(key: string): Promise<Found<State>> {
    return found(await this.keys.call<Answer>(READ, this.keys.now, key));
  }

  async write(key: string, version: State, state: string | null, keepMs: number): Promise<Found<State> | undefined> {
    const expected = [version === undefined ? 0 : 1, version ?? ''];
    const written = [state === null ? 1 : 0, state ?? '', keepMs];
    const answer = await this.keys.call<Answer | null>(WRITE, this.keys.now, key, ...expected, ...written);
    return answer === null ? undefined : found(answer);
  }

  failure(reason: string): CoordinationStoreError {
    return new CoordinationStoreError(`The coordination store in Redis failed: ${reason}`);
  }
}

class RedisCoordinationStore implements CoordinationStore {
  constructor(
    private readonly keys: SharedRedisKeys,
    private readonly changes: OptimisticChanges<State>,
  ) {}

  open(): Promise<void> {
    return this.keys.open();
  }

  change<T>(key: string, change: Change<T>): Promise<T> {
    return this.changes.change(key, change);
  }

  close(): Promise<void> {
    return this.changes.settled();
  }
}

type Answer = readonly [now: Buffer, state: Buffer | null];

/** An entry is known by its state: two that are equal are the same. */
function found([now, state]: Answer): Found<State> {
  const text = state?.toString();
  return { now: Number(now), state: text, version: text };
}
