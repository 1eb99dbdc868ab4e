/*
 * What changes on the server, each change by one script. All keys are declared and in one slot. Whatever makes a copy writes
 * it before the original is acked: a script that fails in the middle is not rolled back. TIME is read once, for it may move
 * on in a script.
 */

/** The group that every stream has, and the consumers that hold what nobody has: given back, and given back for later. */
export const GROUP = 'messaging';
const FREE = '-';
const LATER = '~';

export interface Script {
  readonly lua: string;
  sha?: string;
}

/** With the flag it also runs where the server has no memory left: there only a plain publish is refused. */
export const script = (lua: string, flags = ' flags=allow-oom'): Script => ({ lua: `#!lua${flags}\n${lua}` });

const NOW = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/**
 * The keys of one queue, and what is done with messages that go back. A message with a key goes to those of its key, which
 * nobody gets while somebody owns the key. For a key that is in «parked» there is always an owner; '' is nobody yet, and the
 * key is in «free» then.
 */
const QUEUE = `local S, C, W, R, P, F, K, I = unpack(KEYS)
local G = '${GROUP}'
local function padded(id)
  local ms, seq = id:match('^(%d+)%-(%d+)$')
  return ('0'):rep(15 - #ms) .. ms .. '-' .. ('0'):rep(20 - #seq) .. seq
end
local function keyOf(fields)
  for at = 1, #fields, 2 do
    if fields[at] == 'key' then
      local key = fields[at + 1]
      if #key == 16 and not key:find('%X') then return key end
      return redis.sha1hex(key):sub(1, 16)
    end
  end
  return ''
end
local function free(key)
  local first = redis.call('ZRANGEBYLEX', P, '[' .. key .. '|', '(' .. key .. '}', 'LIMIT', 0, 1)[1]
  if not first then redis.call('HDEL', K, key) return false end
  redis.call('HSET', K, key, '')
  redis.call('ZADD', F, first:sub(18, 32), key)
  return true
end
local function putBack(id, key)
  if key == '' then redis.call('ZADD', R, 0, padded(id)) return end
  redis.call('ZADD', P, 0, key .. '|' .. padded(id))
  if redis.call('HSETNX', K, key, '') == 1 then redis.call('ZADD', F, padded(id):sub(1, 15), key) end
end
`;

const publish = (full: boolean, flags?: string): Script =>
  script(
    `if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return {0} end
local last = redis.call('SET', KEYS[2], ARGV[2], 'PX', 86400000, 'GET')
if last and not (tonumber(last:match('^%d+')) and tonumber(last:match('^%d+')) < tonumber(ARGV[2])) then
  redis.call('SET', KEYS[2], last, 'PX', 86400000)
  return {-1}
end
${full ? NOW : ''}local failed, lost, n = {}, {}, 0
for at = 4, #ARGV, ${full ? 8 : 4} do
  local head, body, key, ok = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], true
  n = n + 1
${
  full
    ? `  local delay, source, owner, id = tonumber(ARGV[at + 4]), ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  if source ~= '' then
    source = KEYS[tonumber(source)]
    local held = redis.pcall('XPENDING', source, '${GROUP}', id, id, 1, owner)
    if held.err or #held == 0 then ok = false lost[#lost + 1] = n end
  end
`
    : ''
}  if ok then
    for place in ARGV[at]:gmatch('%d+') do
      local to, answer = tonumber(place), nil
      ${
        full
          ? `if delay > 0 then
        local member = ('%015d%06d'):format(now, n) .. KEYS[2] .. '\\n' .. key .. '\\n' .. head .. '\\n' .. body
        answer = redis.pcall('ZADD', KEYS[to + 1], now + delay, member)
      else`
          : ''
      }if key == '' then answer = redis.pcall('XADD', KEYS[to], '*', 'head', head, 'body', body)
      else answer = redis.pcall('XADD', KEYS[to], '*', 'head', head, 'body', body, 'key', key) end
      if type(answer) == 'table' and answer.err then ok = false failed[#failed + 1] = {n, answer.err} end
    end
${
  full
    ? `    if ok and source ~= '' then redis.call('XACK', source, '${GROUP}', id) redis.call('XDEL', source, id) end
`
    : ''
}  end
end
if #failed > 0 then
  local told = ARGV[2]
  for _, one in ipairs(failed) do told = told .. ' ' .. one[1] end
  redis.call('SET', KEYS[2], told, 'PX', 86400000)
end
local idle = {}
for queue in ARGV[3]:gmatch('%Z+') do
  if redis.call('SREM', KEYS[3], queue) == 1 then idle[#idle + 1] = queue end
end
if #idle > 0 then redis.call('PUBLISH', KEYS[1]:sub(1, -8) .. 'wake', table.concat(idle, '\\0')) end
return {1, failed, lost}`,
    flags,
  );

export const scripts = {
  /**
   * version, publisher, idle, then stream and waiting of each queue. Version of the routes, number of the batch, its queues
   * (those whose consumers have nothing to do are woken), then for each message: places of its queues, head, body, key. 0: other routes by now; -1: the publisher is fenced off.
   */
  publish: publish(false, ''),
  /** The same with delay in ms, place of the source's stream, its owner, its id: for delays, and for moves. */
  publishFull: publish(true, ''),
  move: publish(true),
  /** publisher. The last batch that was stored, and what of it was not; none of its is stored any more. */
  fence: script(
    `local told = (redis.call('GET', KEYS[1]) or '0'):gsub('closed ', '')
redis.call('SET', KEYS[1], 'closed ' .. told, 'PX', 3600000)
return told`,
  ),
  /**
   * One turn of a consumer. Who, how many it takes, up to which id, channel, queue; acks; what it gives back (id, key, delay,
   * count each); keys that it has nothing of any more. -1: it is not a consumer any more. Else the milliseconds until the next
   * is due, whether there may be more, how many are lost because somebody removed them, and what it has got.
   */
  turn: script(
    `${QUEUE}${NOW}local me, room, last, tell = ARGV[1], tonumber(ARGV[2]), ARGV[3], false
if redis.call('HEXISTS', C, me) == 0 then return {-1} end
local at = 6
local function list()
  local from = at + 1
  at = from + tonumber(ARGV[at])
  return from, at - 1
end
local from, to = list()
if to >= from then
  redis.call('XACK', S, G, unpack(ARGV, from, to))
  redis.call('XDEL', S, unpack(ARGV, from, to))
end
from, to = list()
for i = from, to, 4 do
  local id, key, delay = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  redis.call('XCLAIM', S, G, delay > 0 and '${LATER}' or '${FREE}', 0, id, 'RETRYCOUNT', ARGV[i + 3], 'JUSTID')
  if delay > 0 then redis.call('ZADD', W, now + delay, '@' .. id .. '\\n' .. key) else putBack(id, key) end
  tell = true
end
from, to = list()
for i = from, to do
  if redis.call('HGET', K, ARGV[i]) == me and free(ARGV[i]) then tell = true end
end
local due = redis.call('ZRANGEBYSCORE', W, '-inf', now, 'LIMIT', 0, 100)
local out, lost, more, beyond = {}, 0, #due == 100 and 1 or 0, false
for _, member in ipairs(due) do
  if member:byte(1) == 64 then
    local id, key = member:match('^@(%d+%-%d+)\\n(%x*)$')
    local ours = id and (key == '' or #key == 16) and not redis.pcall('XCLAIM', S, G, '${FREE}', 0, id, 'JUSTID').err
    if ours then putBack(id, key) else lost = lost + 1 end
  else
    local key, head, body = member:match('^[^\\n]*\\n([^\\n]*)\\n([^\\n]*)\\n(.*)$')
    if not key then lost = lost + 1
    elseif key == '' then redis.call('XADD', S, '*', 'head', head, 'body', body)
    else redis.call('XADD', S, '*', 'head', head, 'body', body, 'key', key) end
  end
  redis.call('ZREM', W, member)
  tell = true
end
local function claim(id)
  local found = redis.pcall('XCLAIM', S, G, me, 0, id)[1]
  if not found or not found[2] then lost = lost + 1 return 0 end
  room = room - 1
  out[#out + 1] = {found[1], found[2], redis.call('XPENDING', S, G, id, id, 1)[1][4] - 1}
  return 1
end
if room > 0 then
  for _, key in ipairs(redis.call('ZRANGE', F, 0, 99)) do
    if room <= 0 then break end
    local upTo = last == '' and '(' .. key .. '}' or '[' .. key .. '|' .. padded(last)
    local members = redis.call('ZRANGEBYLEX', P, '[' .. key .. '|', upTo, 'LIMIT', 0, room)
    if #members > 0 or last == '' then
      redis.call('ZREM', F, key)
      redis.call('HSET', K, key, me)
      local got = 0
      for _, member in ipairs(members) do
        redis.call('ZREM', P, member)
        got = got + claim(member:sub(18))
      end
      if got == 0 then free(key) end
    end
  end
end
if room > 0 then
  for _, id in ipairs(redis.call('ZRANGEBYLEX', R, '-', last == '' and '+' or '[' .. padded(last), 'LIMIT', 0, room)) do
    redis.call('ZREM', R, id)
    claim(id)
  end
end
local parked = room > 0 and redis.call('EXISTS', P) == 1
for round = 1, 10 do
  if room <= 0 or beyond then break end
  local reply = redis.call('XREADGROUP', 'GROUP', G, me, 'COUNT', room, 'STREAMS', S, '>')
  if not reply then more = 0 break end
  more = #reply[1][2] == room and 1 or 0
  for _, entry in ipairs(reply[1][2]) do
    local id, key, ours = entry[1], keyOf(entry[2]), true
    if last ~= '' and padded(id) > padded(last) then
      ours, beyond = false, true
      redis.call('XCLAIM', S, G, '${FREE}', 0, id, 'RETRYCOUNT', 0, 'JUSTID')
      putBack(id, key)
    elseif key ~= '' then
      local owner = redis.call('HGET', K, key)
      if not owner then redis.call('HSET', K, key, me)
      else ours = owner == me and not (parked and redis.call('ZRANGEBYLEX', P, '[' .. key .. '|', '(' .. key .. '}', 'LIMIT', 0, 1)[1]) end
      if not ours then
        redis.call('XCLAIM', S, G, '${FREE}', 0, id, 'RETRYCOUNT', 0, 'JUSTID')
        putBack(id, key)
        parked = true
      end
    end
    if ours then
      out[#out + 1] = {id, entry[2], 0}
      room = room - 1
    end
  end
  if more == 0 then break end
end
local first = redis.call('ZRANGE', W, 0, 0, 'WITHSCORES')[2]
if room > 0 then redis.call('SADD', I, ARGV[5]) end
if tell then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return {1, first and math.max(0, tonumber(first) - now) or -1, more, lost, out}`,
  ),
  /** Who, its sign of life where only that one counts, channel, queue. What it holds goes back, and it is none any more. */
  leave: script(
    `${QUEUE}local who, value = ARGV[1], redis.call('HGET', C, ARGV[1])
if not value or (ARGV[2] ~= '' and value ~= ARGV[2]) then return 0 end
redis.call('HDEL', C, who)
local lost = 0
repeat
  local pending = redis.pcall('XPENDING', S, G, '-', '+', 1000, who)
  if pending.err then return 0 end
  for _, one in ipairs(pending) do
    local entry = redis.call('XRANGE', S, one[1], one[1])[1]
    if entry then
      redis.call('XCLAIM', S, G, '${FREE}', 0, one[1], 'JUSTID')
      putBack(one[1], keyOf(entry[2]))
    else
      redis.call('XACK', S, G, one[1])
      lost = lost + 1
    end
  end
until #pending < 1000
local keys = redis.call('HGETALL', K)
for i = 1, #keys, 2 do
  if keys[i + 1] == who then free(keys[i]) end
end
redis.call('XGROUP', 'DELCONSUMER', S, G, who)
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1`,
  ),
  /** consumers, queues. Who, lease, queue. 0: there is no such queue. */
  enter: script(
    `if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 0 then return 0 end
${NOW}redis.call('HSET', KEYS[1], ARGV[1], ('%d:%d'):format(now + ARGV[2], ARGV[2]))
return 1`,
  ),
  /** consumers. Who, lease. Everybody's signs of life; nothing: it is a consumer no more. */
  beat: script(
    `if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return {} end
${NOW}redis.call('HSET', KEYS[1], ARGV[1], ('%d:%d'):format(now + ARGV[2], ARGV[2]))
return redis.call('HGETALL', KEYS[1])`,
  ),
  /** version, queues, bindings, all of them as they are at one moment. */
  table: script(
    `return {redis.call('GET', KEYS[1]) or '', redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3])}`,
  ),
  /**
   * version, queues, bindings, expiring, stream. Next version, queue, its record, after how many ms it expires, how many
   * bindings to add, those, and those to remove. Whether there was no such queue; no such stream.
   */
  declare: script(
    `local made = redis.pcall('XGROUP', 'CREATE', KEYS[5], '${GROUP}', '0', 'MKSTREAM')
if made.err and not made.err:find('BUSYGROUP') then return made end
${NOW}local isNew = redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
local changed, adds = isNew, tonumber(ARGV[5])
for at = 6, #ARGV do
  if at < 6 + adds then changed = changed + redis.call('HSET', KEYS[3], ARGV[at], '')
  else changed = changed + redis.call('HDEL', KEYS[3], ARGV[at]) end
end
if changed > 0 then redis.call('SET', KEYS[1], ARGV[1]) end
if ARGV[4] ~= '0' then redis.call('ZADD', KEYS[4], now + ARGV[4], ARGV[2]) end
return {isNew, made.err and 0 or 1}`,
  ),
  /** version, queues, bindings, expiring, the seven of the queue. Next version, queue; how many signs of consumers, and those, where only that removes it. */
  remove: script(
    `${NOW}if ARGV[3] then
  local score = redis.call('ZSCORE', KEYS[4], ARGV[2])
  if not score or tonumber(score) > now then return 0 end
  local signs = redis.call('HVALS', KEYS[6])
  if #signs ~= tonumber(ARGV[3]) then return 0 end
  for at, sign in ipairs(signs) do if sign ~= ARGV[at + 3] then return 0 end end
end
redis.call('DEL', unpack(KEYS, 5, 11))
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[4], ARGV[2])
for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
  if field:sub(-#ARGV[2] - 1) == '\\0' .. ARGV[2] then redis.call('HDEL', KEYS[3], field) end
end
redis.call('SET', KEYS[1], ARGV[1])
return 1`,
  ),
  /** queues, stream, consumers, waiting. Queue. Ready, held, consumers; nothing: it is not there. */
  count: script(
    `if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return {} end
local pending = redis.pcall('XPENDING', KEYS[2], '${GROUP}')
if pending.err then return {0, 0, 0, 0} end
${NOW}local free, later, live = 0, 0, 0
for _, one in ipairs(pending[4] or {}) do
  if one[1] == '${FREE}' then free = tonumber(one[2]) elseif one[1] == '${LATER}' then later = tonumber(one[2]) end
end
for _, value in ipairs(redis.call('HVALS', KEYS[3])) do
  if tonumber(value:match('^%d+')) > now then live = live + 1 end
end
local due = redis.call('ZCOUNT', KEYS[4], '-inf', now)
return {redis.call('XLEN', KEYS[2]) - pending[1] + free + due, pending[1] - free - later, live, redis.call('ZCARD', KEYS[4]) - due}`,
  ),
  /** stream. The id of its last entry, and how many it has ever had. */
  last: script(
    `local info, found = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for at = 1, #info, 2 do found[info[at]] = info[at + 1] end
return {found['last-generated-id'], found['entries-added']}`,
  ),
} satisfies Record<string, Script>;
