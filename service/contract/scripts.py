"""The transitions of an explanation in Redis, each one Lua script and so atomic.

A script whose answer got lost may be sent again: it must not count twice.

`KEYS[1]` is the explanation's hash. A worker's writes carry its attempt, a token made when it
began: where the hash holds another, the worker lost its lease and the write is refused.

A batch has a hash too, named as those of its explanations are, with no status but that of theirs;
it expires with the last of them.
"""

from service.contract.waiting import WAITING

# Shared by the scripts: what every change does, and the two ways a job leaves a worker.
_COMMON = (
    WAITING
    + """
-- pcall, here and below: what somebody wrote into our keys must not stop a worker
local function changed(id)
  redis.pcall('HINCRBY', 'shapshot:explanation:' .. id, 'version', 1)
  redis.call('PUBLISH', 'shapshot:changes', id)
end
-- Let a batch, if there is one, expire at `expires_at`, once none of its explanations is under way
local function conclude_batch(batch, expires_at)
  local members = batch and redis.pcall('HGET', 'shapshot:explanation:' .. batch, 'members')
  if type(members) ~= 'string' then return end
  for id in string.gmatch(members, '%S+') do
    local status = redis.pcall('HGET', 'shapshot:explanation:' .. id, 'status')
    if status == 'queued' or status == 'running' or status == 'canceling' then return end
  end
  redis.call('ZADD', 'shapshot:expiry', expires_at, batch)
end
-- Of what its owner may list, and of all
local function index(id, at)
  local owner = redis.call('HGET', 'shapshot:explanation:' .. id, 'owner')
  redis.call('ZADD', 'shapshot:explanations', at, id)
  if owner then redis.call('ZADD', 'shapshot:explanations:' .. owner, at, id) end
end
local function unindex(id)
  local owner = redis.call('HGET', 'shapshot:explanation:' .. id, 'owner')
  redis.call('ZREM', 'shapshot:explanations', id)
  if owner then redis.call('ZREM', 'shapshot:explanations:' .. owner, id) end
end
-- Totals of what was ever done: see totals.py
local function count(field, by)
  redis.call('HINCRBYFLOAT', 'shapshot:totals', field, by)
end
local function count_end(key, status)
  local method = redis.call('HGET', key, 'method')
  if method then count('jobs:' .. status .. ':' .. method, 1) end
  local failure = status == 'failed' and redis.call('HGET', key, 'error')
  if failure then count('failures:' .. cjson.decode(failure).code, 1) end
end
-- The first result of a request stands for all that ask the same, as long as it is kept
local function offer_to_others(id, expires_at)
  local key = field(id, 'cache')
  if not key then return end
  local first = redis.call('GET', 'shapshot:cache:' .. key)
  if first and field(first, 'status') == 'succeeded' then return end
  redis.call('SET', 'shapshot:cache:' .. key, id)
  redis.call('EXPIREAT', 'shapshot:cache:' .. key, math.floor(expires_at))
end
local function offer_no_more(id)
  local key = 'shapshot:cache:' .. (field(id, 'cache') or '')
  if redis.call('GET', key) == id then redis.call('DEL', key) end
end
local function forget_job(id)
  redis.call('DEL', 'rq:job:' .. id)
end
local function conclude(id, status, at, expires_at)
  local key = 'shapshot:explanation:' .. id
  redis.call('HSET', key, 'status', status, 'finished_at', at, 'expires_at', expires_at)
  redis.call('HDEL', key, 'attempt', 'cancel')
  redis.call('ZADD', 'shapshot:expiry', expires_at, id)
  forget_job(id)
  count_end(key, status)
  changed(id)
  conclude_batch(redis.call('HGET', key, 'batch'), expires_at)
end
local function put_back(id, queue)
  local key = 'shapshot:explanation:' .. id
  enter_first(id, queue)
  redis.call('HSET', key, 'status', 'queued')
  redis.call('HDEL', key, 'attempt')
  redis.call('HSET', 'rq:job:' .. id, 'status', 'queued')
  changed(id)
end
"""
)

# One explanation, or a batch and all of its own, if there is room. What was explained before has no
# job, nor has the batch itself. Otherwise that its claim was made before, or whose room there is
# none in, and the seconds in which there may be (-1: nobody knows).
# ARGV: queue, now, flow, cost of a job, owner or '', jobs, their bytes, most jobs that may wait,
# most bytes, the same two of an owner, expires_at of what is done, a claim's key or '', its text,
# its seconds, then for each: id, n, m, then n field-value pairs of its hash and m of RQ's job
ACCEPT = (
    _COMMON
    + """
local queue, now, flow, cost, owner = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local jobs, bytes, claim = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[13]
if redis.call('EXISTS', KEYS[1]) == 1 then return {'accepted'} end  -- the answer got lost
if claim ~= '' and redis.call('EXISTS', claim) == 1 then return {'claimed'} end
local over, waiting = excess('', jobs, bytes, ARGV[8], ARGV[9])
local own_over, own = excess(':' .. owner, jobs, bytes, ARGV[10], ARGV[11])
if jobs > 0 and over > 0 then return {'server', patience(over, now)} end
if jobs > 0 and owner ~= '' and own_over > 0 then
  return {'owner', patience(own_over * waiting / math.max(own, 1), now)}
end
if claim ~= '' then redis.call('SET', claim, ARGV[14], 'EX', ARGV[15]) end
if waiting == 0 then watch_ends(now) end
redis.call('SADD', 'rq:queues', 'rq:queue:' .. queue)
local at = 16
while at <= #ARGV do
  local id, fields, job = ARGV[at], at + 3, at + 3 + 2 * ARGV[at + 1]
  local following = job + 2 * ARGV[at + 2]
  redis.call('HSET', 'shapshot:explanation:' .. id, unpack(ARGV, fields, job - 1))
  local status = field(id, 'status')
  if status then index(id, now) end
  if status == 'queued' then
    redis.call('HSET', 'rq:job:' .. id, unpack(ARGV, job, following - 1))
    enter(id, queue, flow, cost)
    count('accepted:' .. redis.call('HGET', 'shapshot:explanation:' .. id, 'method'), 1)
    if field(id, 'cache') then count('cache_misses', 1) end
  end
  if status == 'succeeded' then
    redis.call('ZADD', 'shapshot:expiry', ARGV[12], id)
    count('cache_hits', 1)
  else
    redis.call('ZREM', 'shapshot:expiry', id)
  end
  changed(id)
  at = following
end
conclude_batch(redis.call('HGET', KEYS[1], 'batch'), ARGV[12])
return {'accepted'}
"""
)

# Those of a batch begin with the first of them, from wherever in the line they are.
# ARGV: id, queue, attempt, now, lease
BEGIN = (
    _COMMON
    + """
local id, queue, attempt, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local its_turn = leave(id, queue)
local status = redis.pcall('HGET', KEYS[1], 'status')
if type(status) ~= 'string' then forget_job(id) return 'missing' end
if redis.call('HGET', KEYS[1], 'attempt') == attempt then return 'begun' end  -- likewise
if status ~= 'queued' then return status end
if its_turn then advance(tag_of(id)) end
redis.call('HSET', KEYS[1], 'status', 'running', 'attempt', attempt, 'started_at', now)
local attempts = tonumber(redis.call('HGET', KEYS[1], 'attempts')) or 0
redis.call('HSET', KEYS[1], 'attempts', attempts + 1)
redis.call('HSET', 'rq:job:' .. id, 'status', 'started')
redis.call('ZADD', 'rq:wip:' .. queue, now + ARGV[5], id .. ':' .. attempt)
changed(id)
return 'begun'
"""
)

# All that a worker runs at once; the answers are in their order.
# ARGV: queue, now, lease, then for each: id, attempt, progress or ''
TICK = (
    _COMMON
    + """
local function tick(id, attempt, progress)
  local key = 'shapshot:explanation:' .. id
  if redis.call('HGET', key, 'attempt') ~= attempt then return 'fenced' end
  redis.call('ZADD', 'rq:wip:' .. ARGV[1], ARGV[2] + ARGV[3], id .. ':' .. attempt)
  if progress ~= '' then
    redis.call('HSET', key, 'progress', progress)
    changed(id)
  end
  return redis.call('HGET', key, 'cancel') and 'cancel' or 'owned'
end
local answers = {}
for i = 4, #ARGV, 3 do answers[#answers + 1] = tick(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
return answers
"""
)

# ARGV: id, queue, attempt, now, expires_at, status, outcome or '', error or '', progress or '',
# then what to add to the totals, as field-value pairs
FINISH = (
    _COMMON
    + """
local id, attempt = ARGV[1], ARGV[3]
redis.call('ZREM', 'rq:wip:' .. ARGV[2], id .. ':' .. attempt)
if redis.call('HGET', KEYS[1], 'attempt') ~= attempt then return 'fenced' end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'outcome', ARGV[7], 'result', attempt) end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'error', ARGV[8]) end
if ARGV[9] ~= '' then redis.call('HSET', KEYS[1], 'progress', ARGV[9]) end
for i = 10, #ARGV, 2 do count(ARGV[i], ARGV[i + 1]) end
conclude(id, ARGV[6], ARGV[4], ARGV[5])
note_end(tonumber(ARGV[4]))
if ARGV[6] == 'succeeded' then offer_to_others(id, ARGV[5]) end
return 'finished'
"""
)

# A worker that must stop gives its job back to the front; that start is not held against the job.
# ARGV: id, queue, attempt, now, expires_at
RELEASE = (
    _COMMON
    + """
local id, attempt = ARGV[1], ARGV[3]
redis.call('ZREM', 'rq:wip:' .. ARGV[2], id .. ':' .. attempt)
if redis.call('HGET', KEYS[1], 'attempt') ~= attempt then return 'fenced' end
if redis.call('HGET', KEYS[1], 'cancel') then
  conclude(id, 'canceled', ARGV[4], ARGV[5])
  return 'canceled'
end
redis.call('HINCRBY', KEYS[1], 'attempts', -1)
put_back(id, ARGV[2])
return 'released'
"""
)

# ARGV: id, queue, now, expires_at
CANCEL = (
    _COMMON
    + """
local id, queue = ARGV[1], ARGV[2]
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return false end
if status == 'queued' then
  refund(id, queue)
  leave(id, queue)
  conclude(id, 'canceled', ARGV[3], ARGV[4])
  return 'canceled'
elseif status == 'running' then
  redis.call('HSET', KEYS[1], 'status', 'canceling', 'cancel', '1')
  changed(id)
  return 'canceling'
end
return status
"""
)

# Several go all or none. Each hash goes at once; `shapshot:expiry` keeps the id until its artefacts
# are gone as well.
# ARGV: queue, expires_at of a batch that loses one, ids
DELETE = (
    _COMMON
    + """
local queue, answer = ARGV[1], 'missing'
local function remove(id)
  local batch = redis.call('HGET', 'shapshot:explanation:' .. id, 'batch')
  if field(id, 'status') == 'queued' then
    count_end('shapshot:explanation:' .. id, 'deleted')
    refund(id, queue)
  end
  leave(id, queue)
  forget_job(id)
  offer_no_more(id)
  unindex(id)
  redis.call('DEL', 'shapshot:explanation:' .. id)
  redis.call('ZADD', 'shapshot:expiry', 0, id)
  redis.call('PUBLISH', 'shapshot:changes', id)
  conclude_batch(batch, ARGV[2])
end
for i = 3, #ARGV do
  local status = redis.call('HGET', 'shapshot:explanation:' .. ARGV[i], 'status')
  if status == 'running' or status == 'canceling' then return status end
end
for i = 3, #ARGV do
  if redis.call('EXISTS', 'shapshot:explanation:' .. ARGV[i]) == 1 then
    remove(ARGV[i])
    answer = 'deleted'
  end
end
return answer
"""
)

# Jobs whose worker fell silent, and ids that a worker took from the queue and never began.
# ARGV: queue, now, lease, most attempts, expires_at, error of a job given up
REAP = (
    _COMMON
    + """
local queue, now = ARGV[1], tonumber(ARGV[2])
local wip, intermediate = 'rq:wip:' .. queue, 'rq:queue:' .. queue .. ':intermediate'
local reaped = 0
local function reap(member)
  local id, attempt = string.match(member, '^(.*):(.*)$')
  local key = 'shapshot:explanation:' .. id
  if redis.call('HGET', key, 'attempt') ~= attempt then return end
  if redis.call('HGET', key, 'cancel') then
    conclude(id, 'canceled', now, ARGV[5])
  elseif tonumber(redis.call('HGET', key, 'attempts')) >= tonumber(ARGV[4]) then
    redis.call('HSET', key, 'error', ARGV[6])
    conclude(id, 'failed', now, ARGV[5])
  else
    put_back(id, queue)
  end
  reaped = reaped + 1
end
local function rescue(id)
  local seen = redis.call('ZSCORE', 'shapshot:limbo', id)
  local waits = redis.pcall('HGET', 'shapshot:explanation:' .. id, 'status') == 'queued'
  if waits and not seen then
    redis.call('ZADD', 'shapshot:limbo', now, id)
    return
  elseif waits and tonumber(seen) + tonumber(ARGV[3]) >= now then
    return
  end
  redis.call('LREM', intermediate, 0, id)
  redis.call('ZREM', 'shapshot:limbo', id)
  if waits then
    put_back(id, queue)
    reaped = reaped + 1
  end
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', wip, 0, now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', wip, member)
  pcall(reap, member)  -- one that none of us wrote fails, and is gone
end
for _, id in ipairs(redis.call('LRANGE', intermediate, 0, 99)) do
  pcall(rescue, id)
end
return reaped
"""
)

# What is left of an explanation after its artefacts expired: that it was there, and whose it was.
# ARGV: id, seconds to remember it
BURY = (
    _COMMON
    + """
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
  local created, owner = unpack(redis.call('HMGET', KEYS[1], 'created_at', 'owner'))
  offer_no_more(ARGV[1])
  unindex(ARGV[1])
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'status', 'expired', 'created_at', created or 0)
  if owner then redis.call('HSET', KEYS[1], 'owner', owner) end
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  redis.call('PUBLISH', 'shapshot:changes', ARGV[1])
end
redis.call('ZREM', 'shapshot:expiry', ARGV[1])
"""
)

# Its artefacts have vanished: it stands for no other request any more.
# ARGV: id
WITHDRAW = (
    _COMMON
    + """
offer_no_more(ARGV[1])
"""
)
