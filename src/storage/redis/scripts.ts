import { createHash } from 'node:crypto'
import { CLAIMS_KEPT } from './claims.ts'
import { THREAD_TYPES } from './keys.ts'

/**
 * A Lua script and its SHA-1 digest in hex. Redis runs a script as one atomic step, also in its append-only file and on
 * its replicas. Unless a script says otherwise, KEYS are those of one thread, in the order of `THREAD_TYPES`.
 */
export interface RedisScript {
  lua: string
  sha: string
}

function script(flags: string, body: string): RedisScript {
  const lua = `#!lua${flags === '' ? '' : ` flags=${flags}`}\n${body}`
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

const TYPES = Object.values(THREAD_TYPES)
  .map((type) => `'${type}'`)
  .join(', ')

/** Lua for a log that expired as a whole: no record is left. Without an age, a missing log was lost instead. */
const AGED_LOG = `
if meta[5] and redis.call('EXISTS', KEYS[3]) == 0 then oldest = string.format('%d', tonumber(head) + 1) end`

/**
 * Makes a writer the one of a thread, unless another runner holds it. The fence is a number that each claim raises,
 * followed by the writer's id. Every write has to show the fence.
 *
 * ARGV: lease as JSON, runner id, id of the writer, lease in ms (0 for a visit, which leaves the thread to its runner), id
 * of the life that begins if the thread is new, 0 or the number of the fence that Redis has lost, the writer's head then.
 */
export const CLAIM = script(
  'allow-oom',
  `
local types = {${TYPES}}
for i, key in ipairs(KEYS) do
  local type = redis.call('TYPE', key).ok
  if type ~= 'none' and type ~= types[i] then return {'foreign', key} end
end
local lease = redis.call('GET', KEYS[2])
if lease then
  local ok, held = pcall(cjson.decode, lease)
  if not ok or type(held) ~= 'table' or type(held.id) ~= 'string' then return {'foreign', KEYS[2]} end
  if held.id ~= ARGV[2] then return {'held', lease} end
end
local fence = redis.call('HGET', KEYS[1], 'fence') or (redis.call('EXISTS', KEYS[1]) == 0 and '0:' or '')
if not string.find(fence, '^%d+:') then return {'foreign', KEYS[1]} end
local number, least = tonumber(string.match(fence, '^%d+') or '0'), tonumber(ARGV[6])
local writer = string.match(fence, ':(.*)$')
if least > 0 and number > least and writer ~= ARGV[3] then return {'held', ''} end
number = math.max(number, least) + 1
fence = string.format('%d:%s', number, ARGV[3])
redis.call('HSET', KEYS[1], 'fence', fence, 'n', '0')
redis.call('HSETNX', KEYS[1], 'born', ARGV[5])
if ARGV[4] ~= '0' then
  redis.call('HSET', KEYS[1], 'runner', ARGV[2])
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4])
end
local meta = redis.call('HMGET', KEYS[1], 'head', 'oldest', 'bytes', 'born', 'age', 'claims')
local head, oldest = meta[1] or '0', meta[2] or '1'
local claims = {}
for claim in string.gmatch(meta[6] or '', '%S+') do table.insert(claims, claim) end
table.insert(claims, fence .. '/' .. (least > 0 and ARGV[7] or head))
claims = table.concat(claims, ' ', math.max(1, #claims - ${CLAIMS_KEPT - 1}))
redis.call('HSET', KEYS[1], 'claims', claims)
${AGED_LOG}
return {'claimed', fence, head, oldest, meta[3] or '0', meta[4], claims}
`,
)

/** Renews a lease. ARGV: fence, lease as JSON, lease in ms. Returns the number of commits that Redis has made under the fence. */
export const RENEW = script(
  'allow-oom',
  `
local meta = redis.call('HMGET', KEYS[1], 'fence', 'n')
if meta[1] ~= ARGV[1] then return {'fenced', meta[1] or '', redis.call('GET', KEYS[2]) or ''} end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {'done', meta[2]}
`,
)

/** Gives a thread up. Removes all keys of a thread without records, facts and queue. ARGV: fence. */
export const RELEASE = script(
  'allow-oom',
  `
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return {'fenced'} end
redis.call('UNLINK', KEYS[2])
local isUsed = (redis.call('HGET', KEYS[1], 'head') or '0') ~= '0' or redis.call('HEXISTS', KEYS[1], 'facts') == 1
if isUsed or redis.call('EXISTS', KEYS[7]) == 1 then return {'done'} end
redis.call('UNLINK', unpack(KEYS))
return {'done', 'empty'}
`,
)

/**
 * Makes one commit if it is its writer's next one. A commit that was made before is not made twice, so a commit can be
 * sent again when its answer was lost.
 *
 * ARGV: fence, numbers, batch, then (id, value) of each blob, then (index of the key, field, 1 to set or 0 to remove,
 * value) of each write. The numbers are one text, because each argument costs both sides time: number of the commit, last
 * and first seq (0 for no batch), retention in bytes, retention in ms (0 for none), the time in ms since the epoch up to
 * which everything is too old, number of blobs. Without writes only the first four keys are needed. Returns the log's
 * bytes and its first seq, as one text, when the commit is made.
 *
 * Redis does not undo a script that fails. So what a right or a key's type may forbid comes before the XADD, after which
 * no other batch can have these seqs. If the XADD itself fails, the thread's numbers are set back.
 */
const COMMIT_BODY = `
local meta = redis.call('HMGET', KEYS[1], 'fence', 'n', 'bytes', 'oldest', 'born', 'largest', 'blobBytes', 'age', 'head')
if meta[1] ~= ARGV[1] then return {'fenced', meta[1] or '', redis.call('GET', KEYS[2]) or ''} end
local bytes, oldest = tonumber(meta[3] or '0'), meta[4] or '1'
local n, last, first, limit, age, oldAt, blobs = string.match(ARGV[2], '${Array(7).fill('(%S+)').join(' ')}')
local done = tonumber(meta[2])
if tonumber(n) <= done then return string.format('%d %s', bytes, oldest) end
if tonumber(n) > done + 1 then return {'behind', string.format('%d', done)} end
local hasBatch = last ~= '0'
limit, age, oldAt, blobs = tonumber(limit), tonumber(age), tonumber(oldAt), tonumber(blobs)
local blobBytes = tonumber(meta[7] or '0')
if meta[8] then
  if redis.call('EXISTS', KEYS[4]) == 0 then blobBytes = 0 end
  if redis.call('EXISTS', KEYS[3]) == 0 then
    bytes = 0
    if hasBatch then oldest = first end
  end
end
local at = 4
for _ = 1, blobs do
  redis.call('HSET', KEYS[4], ARGV[at], ARGV[at + 1])
  blobBytes = blobBytes + #ARGV[at + 1]
  at = at + 2
end
while ARGV[at] do
  local key = KEYS[tonumber(ARGV[at])]
  if ARGV[at + 2] == '1' then redis.call('HSET', key, ARGV[at + 1], ARGV[at + 3])
  else redis.call('HDEL', key, ARGV[at + 1]) end
  at = at + 4
end
local hasAged = false
if hasBatch then
  redis.call('PUBLISH', string.sub(KEYS[1], 1, -5) .. 'changes', meta[5] .. ' ' .. last .. ' ' .. ARGV[1])
  local size, trimmed = #ARGV[3], false
  while bytes + size > limit or age > 0 do
    local eldest = redis.call('XRANGE', KEYS[3], trimmed and oldest or '-', '+', 'COUNT', 1)[1]
    if not eldest then break end
    local batch = eldest[2][2]
    if bytes + size <= limit then
      local ok, header = pcall(cjson.decode, string.match(batch, '^%C*'))
      if not ok or type(header.at) ~= 'number' or header.at > oldAt then break end
      hasAged = true
    end
    bytes = bytes - #batch
    oldest = string.format('%d', tonumber(string.match(eldest[1], '^%d+')) + 1)
    trimmed = true
  end
  if trimmed then redis.call('XTRIM', KEYS[3], 'MINID', oldest) end
  local before = string.format('%d', bytes)
  bytes = bytes + size
  redis.call('HSET', KEYS[1], 'n', n, 'bytes', string.format('%d', bytes), 'head', last)
  local added = redis.pcall('XADD', KEYS[3], last .. '-' .. first, 'batch', ARGV[3])
  if type(added) == 'table' then
    redis.call('HSET', KEYS[1], 'n', meta[2], 'bytes', before, 'head', meta[9] or '0', 'oldest', oldest)
    return added
  end
  if size > tonumber(meta[6] or '0') then redis.call('HSET', KEYS[1], 'largest', string.format('%d', size)) end
else
  redis.call('HSET', KEYS[1], 'n', n, 'bytes', string.format('%d', bytes))
end
if (blobs > 0 and blobBytes > limit) or hasAged then
  local ids = redis.call('HKEYS', KEYS[4])
  table.sort(ids)
  for i = 1, #ids do
    local isAged = age > 0 and (tonumber(string.match(ids[i], '^%w+') or '', 36) or oldAt + 1) <= oldAt
    if not isAged and (blobBytes <= limit or i == #ids) then break end
    blobBytes = blobBytes - redis.call('HSTRLEN', KEYS[4], ids[i])
    redis.call('HDEL', KEYS[4], ids[i])
  end
end
if age > 0 then
  for i = 3, 4 do redis.call('PEXPIRE', KEYS[i], age) end
  redis.call('HSET', KEYS[1], 'age', string.format('%d', age))
elseif meta[8] then
  for i = 3, 4 do redis.call('PERSIST', KEYS[i]) end
  redis.call('HDEL', KEYS[1], 'age')
end
if blobs > 0 or meta[8] or hasAged then redis.call('HSET', KEYS[1], 'blobBytes', string.format('%d', blobBytes)) end
if oldest ~= meta[4] then redis.call('HSET', KEYS[1], 'oldest', oldest) end
return string.format('%d %s', bytes, oldest)
`

export const COMMIT = script('', COMMIT_BODY)
/** The same commit, also when the memory is full: for the end of a run, when everything else is refused. */
export const LAST_COMMIT = script('allow-oom', COMMIT_BODY)

/** Removes all of a thread, unless that was done before. ARGV: fence, channel, prefix of the transcripts' keys. */
export const DROP = script(
  'allow-oom',
  `
local fence = redis.call('HGET', KEYS[1], 'fence')
if not fence then return {'done'} end
if fence ~= ARGV[1] then return {'fenced', fence, redis.call('GET', KEYS[2]) or ''} end
local born = redis.call('HGET', KEYS[1], 'born') or ''
for _, name in ipairs(redis.call('SMEMBERS', KEYS[8])) do redis.call('UNLINK', ARGV[3] .. name) end
redis.call('UNLINK', unpack(KEYS))
redis.call('PUBLISH', ARGV[2], born .. ' dropped')
return {'done'}
`,
)

/** Returns the current state of a thread: id of its life, last and first seq, fence, last claims. */
export const STATE = script(
  'no-writes',
  `
local meta = redis.call('HMGET', KEYS[1], 'born', 'head', 'oldest', 'fence', 'age', 'claims')
local head, oldest = meta[2] or '0', meta[3] or '1'
${AGED_LOG}
return {meta[1] or '', head, oldest, meta[4] or '', meta[6] or ''}
`,
)

/**
 * Tries each command that a runner needs, on a key that is a string meanwhile and is removed at the end. Returns the
 * first command that the user may not run, with Redis' message, else an empty text. KEYS: an unused key. ARGV: a
 * channel.
 */
export const RIGHTS = script(
  'allow-oom',
  `
local key, refused = KEYS[1], ''
for _, command in ipairs({
  {'UNLINK', key}, {'SET', key, '', 'PX', 1000}, {'PEXPIRE', key, 1000}, {'PERSIST', key},
  {'TYPE', key}, {'GET', key}, {'EXISTS', key}, {'PUBLISH', ARGV[1], ''},
  {'SADD', key, ''}, {'SREM', key, ''}, {'SMEMBERS', key},
  {'HGET', key, ''}, {'HMGET', key, ''}, {'HEXISTS', key, ''}, {'HGETALL', key}, {'HKEYS', key}, {'HSTRLEN', key, ''},
  {'HSET', key, '', ''}, {'HSETNX', key, '', ''}, {'HDEL', key, ''},
  {'LLEN', key}, {'LRANGE', key, 0, 0}, {'RPUSH', key, ''},
  {'XADD', key, '*', '', ''}, {'XRANGE', key, '-', '+'}, {'XTRIM', key, 'MAXLEN', 0},
}) do
  local reply = redis.pcall(unpack(command))
  if type(reply) == 'table' and reply.err and not string.find(reply.err, 'WRONGTYPE', 1, true) then
    refused = command[1] .. ': ' .. reply.err
    break
  end
end
redis.pcall('UNLINK', key)
return refused
`,
)

/** Does nothing. Redis refuses it whenever it would refuse a write. */
export const PROBE = script('', `return {'done'}`)

/**
 * Appends lines to one of the agent's transcripts, unless they arrived before. KEYS: those of the thread, then the
 * transcript's. ARGV: fence, name of the transcript, its number of lines so far, the lines.
 */
export const TRANSCRIBE = script(
  '',
  `
local fence = redis.call('HGET', KEYS[1], 'fence')
if fence ~= ARGV[1] then return {'fenced', fence or '', redis.call('GET', KEYS[2]) or ''} end
local length = redis.call('LLEN', KEYS[9])
if length > tonumber(ARGV[3]) then return {'done', string.format('%d', length)} end
redis.call('SADD', KEYS[8], ARGV[2])
for i = 4, #ARGV do redis.call('RPUSH', KEYS[9], ARGV[i]) end
return {'done', string.format('%d', length + #ARGV - 3)}
`,
)
