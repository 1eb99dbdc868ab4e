import {
  type RedisKeysDefinition,
  redisScript,
  type RedisStoreOptions,
  SharedRedisKeys,
  sharedRedisPlace,
} from '../clients/shared-redis-keys.js';
import { TransactionRecordError } from '../errors/transaction-errors.js';
import type {
  NewTransactionRecord,
  RecordOwner,
  TransactionNote,
  TransactionRecord,
  TransactionRecordStore,
  TransactionRecordStoreFactory,
  TransactionState,
} from '../transaction/transaction-record.js';

/** `records`: what changes, as JSON; `given`: what does not. In the set of its state a record stands by its place. */
const definition: RedisKeysDefinition = {
  noun: 'store of transaction records',
  Failure: TransactionRecordError,
  keys: {
    last: 'string',
    prepared: 'zset',
    unknown: 'zset',
    parked: 'zset',
    committed: 'zset',
    records: 'hash',
    given: 'hash',
    bodies: 'hash',
    owners: 'hash',
  },
};

const script = (body: string, adds = false): ReturnType<typeof redisScript> =>
  redisScript(
    definition,
    `local sets = {prepared = prepared, unknown = unknown, parked = parked, committed = committed}
local function read(id)
  local text = redis.call('HGET', records, id)
  return text and cjson.decode(text)
end
local function put(id, record, state)
  local before = record.state
  record.state = state
  redis.call('ZADD', sets[state], record.seq, id)
  redis.call('HSET', records, id, cjson.encode(record))
  if before and before ~= state then redis.call('ZREM', sets[before], id) end
end
local function drop(id, record)
  redis.call('ZREM', sets[record.state], id)
  for _, key in ipairs({records, given, bodies}) do redis.call('HDEL', key, id) end
end
local function keep(id, owner, state, route, rest, body)
  local record = {seq = redis.call('INCR', last), owner = owner, checks = 0, route = route}
  redis.call('HSET', given, id, rest)
  redis.call('HSET', bodies, id, body)
  put(id, record, state)
end
local function beat(owner) redis.call('HINCRBY', owners, owner, 1) end
local function told(id, record)
  return {id, cjson.encode(record), redis.call('HGET', given, id), redis.call('HGET', bodies, id)}
end
-- At most so many of these states behind a place, in their order.
local function following(states, after, most)
  local found = {}
  for state in states:gmatch('%a+') do
    local part = redis.call('ZRANGEBYSCORE', sets[state], '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
    for at = 1, #part, 2 do found[#found + 1] = {id = part[at], seq = tonumber(part[at + 1])} end
  end
  table.sort(found, function(a, b) return a.seq < b.seq end)
  while #found > most do found[#found] = nil end
  return found
end
local id = ARGV[1]
${body}`,
    adds,
  );

/** The same record again is what a client has sent twice. */
const PREPARE = script(
  `local owner, route, rest, body = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local record = read(id)
if record then
  if record.owner == owner and record.state == 'prepared' and redis.call('HGET', given, id) == rest then return 1 end
  return redis.error_reply('there is a record ' .. id .. ' already')
end
keep(id, owner, 'prepared', route, rest, body)
beat(owner)
return 1`,
  true,
);
/** Not refused while memory is full: what has committed has to be known. */
const COMMIT = script(`local record = read(id)
if not record then keep(id, ARGV[2], 'committed', ARGV[3], ARGV[4], ARGV[5]) return 1 end
record.owner, record.reason = ARGV[2], nil
put(id, record, 'committed')
return 1`);
const NOTE = script(`local record = read(id)
if not record or record.owner ~= ARGV[2] or record.state == 'committed' then return 0 end
record.checks, record.reason = tonumber(ARGV[4]), ARGV[5]
put(id, record, ARGV[3])
return 1`);
const REMOVE = script(`local record = read(id)
if not record or record.owner ~= ARGV[2] then return 0 end
drop(id, record)
return 1`);
const FIND = script(`local record = read(id)
return record and told(id, record)`);
const BEAT = script('beat(id)');
const OWNERS = script(`return redis.call('HGETALL', owners)`);
const BURY = script(`if redis.call('HGET', owners, id) ~= ARGV[2] then return 0 end
return redis.call('HDEL', owners, id)`);
const LEAVE = script(`return redis.call('HDEL', owners, id)`);
/** Looks at so many records at a time; answers the place to go on from, or nothing. */
const ADOPT = script(`local after, most, looks, adopted = ARGV[2], 4 * tonumber(ARGV[3]), 500, {false}
local wanted = {}
for at = 4, #ARGV do wanted[ARGV[at]] = true end
local found = following('committed unknown prepared', after, looks)
for at, one in ipairs(found) do
  if #adopted > most then break end
  after = one.seq
  local record = read(one.id)
  local free = record and redis.call('HEXISTS', owners, record.owner) == 0
  if free and (record.state == 'committed' or wanted[record.route]) then
    record.owner = id
    put(one.id, record, record.state)
    for _, part in ipairs(told(one.id, record)) do adopted[#adopted + 1] = part end
  end
end
if #adopted > 1 then beat(id) end
if #found == looks then adopted[1] = after end
return adopted`);
const PAGE = script(`local page = {}
for _, one in ipairs(following(ARGV[2], ARGV[3], tonumber(ARGV[4]))) do
  for _, part in ipairs(told(one.id, read(one.id))) do page[#page + 1] = part end
end
return page`);
const COUNT = script(`local counts = {}
for at, state in ipairs({'prepared', 'unknown', 'parked', 'committed'}) do counts[at] = redis.call('ZCARD', sets[state]) end
return counts`);
const RESOLVE = script(`local record, owner, outcome = read(id), ARGV[2], ARGV[3]
if not record or record.state ~= 'parked' then return 0 end
if outcome == 'rolled-back' then drop(id, record) return 1 end
record.owner, record.checks, record.reason = owner, 0, nil
beat(owner)
put(id, record, outcome)
return 1`);

/** Records of a page that are asked for at a time. */
const TOGETHER = 100;
const STATES = 'prepared unknown parked committed';

/**
 * Keeps the records of transactional sends in a Redis server that processes of several machines may share. It has to keep
 * what it has confirmed: one without `appendonly`, or that deletes keys when it is full, is refused at boot.
 * @throws InvalidOptionError
 */
export function redisTransactionRecords(options: RedisStoreOptions): TransactionRecordStoreFactory {
  const place = sharedRedisPlace('redisTransactionRecords', options, 'messaging:transactions');
  const scripts = [PREPARE, COMMIT, NOTE, REMOVE, FIND, OWNERS, ADOPT];
  return {
    kind: 'redis',
    durable: true,
    create: ({ clock, scope }) =>
      new RedisTransactionRecords(new SharedRedisKeys(place, definition, scripts, clock, `${scope}:`)),
  };
}

type Reply = readonly Buffer[];

class RedisTransactionRecords implements TransactionRecordStore {
  constructor(private readonly keys: SharedRedisKeys) {}

  open(): Promise<void> {
    return this.keys.open();
  }

  async prepare(record: NewTransactionRecord, owner: string): Promise<void> {
    await this.keys.call(PREPARE, ...valuesOf(record, owner));
  }

  async commit(record: NewTransactionRecord, owner: string): Promise<void> {
    await this.keys.call(COMMIT, ...valuesOf(record, owner));
  }

  async note(id: string, owner: string, { state, checks, reason }: TransactionNote): Promise<boolean> {
    return (await this.keys.call(NOTE, id, owner, state, checks, reason)) === 1;
  }

  async remove(id: string, owner: string): Promise<boolean> {
    return (await this.keys.call(REMOVE, id, owner)) === 1;
  }

  async find(id: string): Promise<TransactionRecord | undefined> {
    const found = await this.keys.call<Reply | null>(FIND, id);
    return found ? recordsOf(found)[0] : undefined;
  }

  async beat(owner: string): Promise<void> {
    await this.keys.call(BEAT, owner);
  }

  async owners(): Promise<RecordOwner[]> {
    const found = await this.keys.call<Reply>(OWNERS);
    return Array.from({ length: found.length / 2 }, (_, at) => ({
      owner: String(found[2 * at]),
      beats: Number(found[2 * at + 1]),
    }));
  }

  async bury({ owner, beats }: RecordOwner): Promise<boolean> {
    return (await this.keys.call(BURY, owner, beats)) === 1;
  }

  async leave(owner: string): Promise<void> {
    await this.keys.call(LEAVE, owner);
  }

  async adopt(owner: string, routes: readonly string[], limit: number): Promise<TransactionRecord[]> {
    const adopted: TransactionRecord[] = [];
    for (let after: string | undefined = '0'; after !== undefined && adopted.length < limit;) {
      const [next, ...found]: Reply = await this.keys.call(ADOPT, owner, after, limit - adopted.length, ...routes);
      adopted.push(...recordsOf(found));
      after = next === null ? undefined : String(next);
    }
    return adopted;
  }

  async page(state: TransactionState | undefined, afterSeq: number, limit: number): Promise<TransactionRecord[]> {
    const found: TransactionRecord[] = [];
    for (let more = true; more && found.length < limit;) {
      const most = Math.min(TOGETHER, limit - found.length);
      const after = found.at(-1)?.seq ?? afterSeq;
      const part = recordsOf(await this.keys.call<Reply>(PAGE, '', state ?? STATES, after, most));
      found.push(...part);
      more = part.length === most;
    }
    return found;
  }

  async count(): Promise<Record<TransactionState, number>> {
    const [prepared, unknown, parked, committed] = await this.keys.call<number[]>(COUNT);
    return { prepared, unknown, parked, committed };
  }

  async resolve(id: string, owner: string, outcome: 'committed' | 'rolled-back' | 'unknown'): Promise<boolean> {
    return (await this.keys.call(RESOLVE, id, owner, outcome)) === 1;
  }

  /** The client is the application's. */
  async close(): Promise<void> {}
}

function valuesOf(record: NewTransactionRecord, owner: string): (string | Buffer)[] {
  const { id, route, timeoutMs, preparedAt, meta, body } = record;
  return [id, owner, route, JSON.stringify({ timeoutMs, preparedAt, meta }), body];
}

/** An answer has four parts for each record. */
function recordsOf(parts: Reply): TransactionRecord[] {
  return Array.from({ length: parts.length / 4 }, (_, at) => {
    const [id, record, given, body] = parts.slice(4 * at);
    return { id: String(id), ...JSON.parse(String(record)), ...JSON.parse(String(given)), body } as TransactionRecord;
  });
}
