import {
  NOW,
  type RedisKeysDefinition,
  redisScript,
  type RedisStoreOptions,
  SharedRedisKeys,
  sharedRedisPlace,
} from '../clients/shared-redis-keys.js';
import type {
  ArchivedEntry,
  ArchiveQuery,
  DeadLetterArchive,
  DeadLetterArchiveFactory,
  DeadLetterEntry,
} from '../dead-letter/dead-letter-archive.js';
import { DeadLetterArchiveError } from '../dead-letter/dead-letter-archive-error.js';
import { readDeadLetter } from '../dead-letter/dead-letter.js';
import { parseTagged, stringifyTagged } from '../durable-queue/tagged-json.js';
import type { WireMessage } from '../message/message.js';

/**
 * In `places` a dead letter stands by its place, in `flagged` as well when it may be tried again. `facts`: the time of
 * archiving, and what a query selects by, as JSON; `given`: the message but its body. `claims`: when a claim or a wait ends,
 * and whose it is, if anybody's.
 */
const definition: RedisKeysDefinition = {
  noun: 'dead-letter archive',
  Failure: DeadLetterArchiveError,
  keys: {
    last: 'string',
    places: 'zset',
    flagged: 'zset',
    facts: 'hash',
    given: 'hash',
    bodies: 'hash',
    claims: 'hash',
  },
};

const script = (body: string, adds = false): ReturnType<typeof redisScript> =>
  redisScript(
    definition,
    `${NOW}local function claim(key)
  local ends, token = (redis.call('HGET', claims, key) or '0 '):match('^(%d+) (.*)$')
  return tonumber(ends), token
end
local function put(key, ends, token) redis.call('HSET', claims, key, ('%d %s'):format(ends, token)) end
local function set(list)
  if not list then return nil end
  local all = {}
  for _, one in ipairs(list) do all[one] = true end
  return all
end
${body}`,
    adds,
  );

const ADD = script(
  `for at = 2, #ARGV, 4 do
  local key = ARGV[at]
  if not redis.call('ZSCORE', places, key) then
    redis.call('HSET', facts, key, ('%d %s'):format(now, ARGV[at + 1]))
    redis.call('HSET', given, key, ARGV[at + 2])
    redis.call('HSET', bodies, key, ARGV[at + 3])
    redis.call('ZADD', places, redis.call('INCR', last), key)
  end
end`,
  true,
);
/**
 * Looks at so many dead letters at a time, and answers at most so many bytes: others wait meanwhile. The first part of the
 * answer is the place to go on from, if there is more; the second how many were found.
 */
const SEARCH =
  script(`local query, after, most, counts = cjson.decode(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local looks, bytes, found, ids, queues = 500, 0, {false, 0}, set(query.ids), set(query.queues)
local selects = ids or queues or query.reason or query.before or query.after
local from = query.due and flagged or places
local page = redis.call('ZRANGEBYSCORE', from, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, looks)
for at = 1, #page, 2 do
  local key, fits = page[at], true
  after = page[at + 1]
  local text = (selects or not counts) and redis.call('HGET', facts, key)
  if selects then
    local fact = cjson.decode(text:match(' (.*)'))
    fits = (not ids or ids[fact.id]) and (not queues or queues[fact.queue])
      and (not query.reason or fact.reason == query.reason)
      and (not query.before or fact.time and fact.time < query.before)
      and (not query.after or fact.time and fact.time > query.after)
  end
  if fits and query.due then fits = claim(key) <= now end
  if fits then
    found[2] = found[2] + 1
    if not counts then
      local body = redis.call('HGET', bodies, key)
      local flag = redis.call('ZSCORE', flagged, key) and 1 or 0
      for _, part in ipairs({key, after, text, redis.call('HGET', given, key), body, flag}) do found[#found + 1] = part end
      bytes = bytes + #body
    end
  end
  if at + 1 == #page and #page < 2 * looks then return found end
  if found[2] >= most or bytes > 4194304 then found[1] = after return found end
end
if #page > 0 then found[1] = after end
return found`);
const COUNT = script(`return redis.call('ZCOUNT', places, '(' .. ARGV[2], '+inf')`);
const LAST = script(`return redis.call('GET', last)`);
const ALLOW = script(`local hits = 0
for at = 3, #ARGV do
  local place = redis.call('ZSCORE', places, ARGV[at])
  if place then
    hits = hits + 1
    if ARGV[2] == '1' then redis.call('ZADD', flagged, place, ARGV[at]) else redis.call('ZREM', flagged, ARGV[at]) end
  end
end
return hits`);
const CLAIM = script(`local token, claimed = ARGV[2], {}
for at = 4, #ARGV do
  local ends, owner = claim(ARGV[at])
  if redis.call('ZSCORE', places, ARGV[at]) and (owner == token or owner == '' or ends <= now) then
    put(ARGV[at], now + tonumber(ARGV[3]), token)
    claimed[#claimed + 1] = ARGV[at]
  end
end
return claimed`);
const RELEASE = script(`local hits = 0
for at = 4, #ARGV do
  local _, owner = claim(ARGV[at])
  if owner == ARGV[2] then
    put(ARGV[at], now + tonumber(ARGV[3]), '')
    hits = hits + 1
  end
end
return hits`);
/** With a token those it has, without one those that nobody has. */
const DELETE = script(`local token, hits = ARGV[2], 0
for at = 3, #ARGV do
  local key = ARGV[at]
  local ends, owner = claim(key)
  local free = owner == token
  if token == '' then free = owner == '' or ends <= now end
  if free and redis.call('ZREM', places, key) == 1 then
    redis.call('ZREM', flagged, key)
    for _, from in ipairs({facts, given, bodies, claims}) do redis.call('HDEL', from, key) end
    hits = hits + 1
  end
end
return hits`);

/**
 * Keeps dead letters in a Redis server that processes of several machines may share. It has to keep what it has confirmed:
 * one without `appendonly`, or that deletes keys when it is full, is refused at boot. @throws InvalidOptionError
 */
export function redisDeadLetterArchive(options: RedisStoreOptions): DeadLetterArchiveFactory {
  const place = sharedRedisPlace('redisDeadLetterArchive', options, 'messaging:dead-letters');
  const scripts = [ADD, SEARCH, COUNT, LAST, ALLOW, CLAIM, RELEASE, DELETE];
  return {
    kind: 'redis',
    durable: true,
    create: ({ clock }) => new RedisDeadLetterArchive(new SharedRedisKeys(place, definition, scripts, clock)),
  };
}

type Found = [next: Buffer | null, count: number, ...parts: (Buffer | number)[]];

class RedisDeadLetterArchive implements DeadLetterArchive {
  constructor(private readonly keys: SharedRedisKeys) {}

  open(): Promise<void> {
    return this.keys.open();
  }

  async add(entries: readonly DeadLetterEntry[]): Promise<void> {
    if (entries.length > 0) await this.keys.call(ADD, this.keys.now, ...entries.flatMap(valuesOf));
  }

  async page(query: ArchiveQuery, afterSeq: number, limit: number): Promise<ArchivedEntry[]> {
    const found: ArchivedEntry[] = [];
    const room = (): number => limit - found.length;
    for await (const [, , ...parts] of this.search(query, afterSeq, room)) found.push(...entriesOf(parts));
    return found;
  }

  async count(query: ArchiveQuery = {}, afterSeq = 0): Promise<number> {
    if (Object.values(query).every((value) => value === undefined))
      return this.keys.call<number>(COUNT, this.keys.now, afterSeq);
    let count = 0;
    for await (const [, part] of this.search(query, afterSeq, () => Number.MAX_SAFE_INTEGER, true)) count += part;
    return count;
  }

  async lastSeq(): Promise<number> {
    return Number(await this.keys.call<Buffer | null>(LAST, this.keys.now));
  }

  allowRetry(keys: readonly string[], allow: boolean): Promise<number> {
    return this.hits(ALLOW, allow ? 1 : 0, ...new Set(keys));
  }

  async claim(keys: readonly string[], token: string, leaseMs: number): Promise<string[]> {
    const claimed = await this.keys.call<Buffer[]>(CLAIM, this.keys.now, token, Math.ceil(leaseMs), ...new Set(keys));
    return claimed.map(String);
  }

  release(keys: readonly string[], token: string, waitMs: number): Promise<number> {
    return this.hits(RELEASE, token, Math.ceil(waitMs), ...new Set(keys));
  }

  delete(keys: readonly string[], token = ''): Promise<number> {
    return this.hits(DELETE, token, ...new Set(keys));
  }

  /** The client is the application's. */
  async close(): Promise<void> {}

  private hits(of: typeof ALLOW, ...values: (string | number)[]): Promise<number> {
    return this.keys.call<number>(of, this.keys.now, ...values);
  }

  private async *search(
    query: ArchiveQuery,
    afterSeq: number,
    room: () => number,
    counts = false,
  ): AsyncGenerator<Found> {
    for (let after: string | undefined = String(afterSeq); after !== undefined && room() > 0;) {
      const values = [jsonOf(query), after, room(), counts ? 1 : 0];
      const found: Found = await this.keys.call(SEARCH, this.keys.now, ...values);
      yield found;
      after = found[0] === null ? undefined : String(found[0]);
    }
  }
}

function valuesOf({ key, deadLetterQueue, message }: DeadLetterEntry): (string | Buffer)[] {
  const { id, reason, time } = readDeadLetter(message, deadLetterQueue);
  const { body, ...rest } = message;
  const known = time !== undefined && Number.isFinite(time) && { time };
  return [key, jsonOf({ id, reason, queue: deadLetterQueue, ...known }), stringifyTagged(rest), body];
}

/** For Lua, which takes no half of a character. */
function jsonOf(value: object): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'string' ? String(Buffer.from(part)) : part));
}

/** An answer has six parts for each dead letter. */
function entriesOf(parts: readonly (Buffer | number)[]): ArchivedEntry[] {
  return Array.from({ length: parts.length / 6 }, (_, at) => {
    const [key, seq, facts, given, body, flag] = parts.slice(6 * at);
    const [, archivedAt, told] = /^(\d+) (.*)$/s.exec(String(facts))!;
    const { queue } = JSON.parse(told) as { queue: string };
    const message = { ...(parseTagged(String(given)) as Omit<WireMessage, 'body'>), body: body as Buffer };
    const place = { seq: Number(seq), key: String(key), deadLetterQueue: queue, archivedAt: Number(archivedAt) };
    return { ...place, message, allowRetry: flag === 1 };
  });
}
