"""The transitions of an explanation in Redis, each one Lua script and so atomic.

A script whose answer got lost may be sent again: it must not count twice.

`KEYS[1]` is always the explanation's hash. A worker's writes carry its attempt, a token made when
it began: where the hash holds another, the worker lost its lease and the write is refused.
"""

# Shared by the scripts: what every change does, and the two ways a job leaves the machinery.
_COMMON = """
local function changed(id)
  redis.call('HINCRBY', 'shapshot:explanation:' .. id, 'version', 1)
  redis.call('PUBLISH', 'shapshot:changes', id)
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
  changed(id)
end
local function put_back(id, queue)
  local key = 'shapshot:explanation:' .. id
  redis.call('HSET', key, 'status', 'queued')
  redis.call('HDEL', key, 'attempt')
  redis.call('HSET', 'rq:job:' .. id, 'status', 'queued')
  redis.call('LPUSH', 'rq:queue:' .. queue, id)
  changed(id)
end
"""

# ARGV: id, queue, longest queue, now, n, then n field-value pairs of the hash, then RQ's job fields
ACCEPT = (
    _COMMON
    + """
local id, queue = ARGV[1], ARGV[2]
if redis.call('EXISTS', KEYS[1]) == 1 then return 'accepted' end  -- the answer got lost
if redis.call('LLEN', 'rq:queue:' .. queue) >= tonumber(ARGV[3]) then return 'full' end
local last = 5 + 2 * tonumber(ARGV[5])
redis.call('HSET', KEYS[1], unpack(ARGV, 6, last))
redis.call('HSET', 'rq:job:' .. id, unpack(ARGV, last + 1))
redis.call('SADD', 'rq:queues', 'rq:queue:' .. queue)
redis.call('ZADD', 'shapshot:explanations', ARGV[4], id)
redis.call('ZREM', 'shapshot:expiry', id)
redis.call('RPUSH', 'rq:queue:' .. queue, id)
changed(id)
return 'accepted'
"""
)

# ARGV: id, queue, attempt, now, lease
BEGIN = (
    _COMMON
    + """
local id, queue, attempt, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
redis.call('LREM', 'rq:queue:' .. queue .. ':intermediate', 0, id)
redis.call('ZREM', 'shapshot:limbo', id)
local status = redis.call('HGET', KEYS[1], 'status')
if not status then forget_job(id) return 'missing' end
if redis.call('HGET', KEYS[1], 'attempt') == attempt then return 'begun' end  -- likewise
if status ~= 'queued' then return status end
redis.call('HSET', KEYS[1], 'status', 'running', 'attempt', attempt, 'started_at', now)
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
redis.call('HSET', 'rq:job:' .. id, 'status', 'started')
redis.call('ZADD', 'rq:wip:' .. queue, now + ARGV[5], id .. ':' .. attempt)
changed(id)
return 'begun'
"""
)

# ARGV: id, queue, attempt, now, lease, progress or ''
TICK = (
    _COMMON
    + """
local id, attempt = ARGV[1], ARGV[3]
if redis.call('HGET', KEYS[1], 'attempt') ~= attempt then return 'fenced' end
redis.call('ZADD', 'rq:wip:' .. ARGV[2], ARGV[4] + ARGV[5], id .. ':' .. attempt)
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'progress', ARGV[6])
  changed(id)
end
if redis.call('HGET', KEYS[1], 'cancel') then return 'cancel' end
return 'owned'
"""
)

# ARGV: id, queue, attempt, now, expires_at, status, outcome or '', error or '', progress or ''
FINISH = (
    _COMMON
    + """
local id, attempt = ARGV[1], ARGV[3]
redis.call('ZREM', 'rq:wip:' .. ARGV[2], id .. ':' .. attempt)
if redis.call('HGET', KEYS[1], 'attempt') ~= attempt then return 'fenced' end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'outcome', ARGV[7], 'result', attempt) end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'error', ARGV[8]) end
if ARGV[9] ~= '' then redis.call('HSET', KEYS[1], 'progress', ARGV[9]) end
conclude(id, ARGV[6], ARGV[4], ARGV[5])
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
  redis.call('LREM', 'rq:queue:' .. queue, 0, id)
  redis.call('LREM', 'rq:queue:' .. queue .. ':intermediate', 0, id)
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

# The hash goes at once; `shapshot:expiry` keeps the id until its artefacts are gone as well.
# ARGV: id, queue
DELETE = (
    _COMMON
    + """
local id, queue = ARGV[1], ARGV[2]
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return 'missing' end
if status == 'running' or status == 'canceling' then return status end
redis.call('LREM', 'rq:queue:' .. queue, 0, id)
redis.call('LREM', 'rq:queue:' .. queue .. ':intermediate', 0, id)
forget_job(id)
redis.call('DEL', KEYS[1])
redis.call('ZREM', 'shapshot:explanations', id)
redis.call('ZADD', 'shapshot:expiry', 0, id)
redis.call('PUBLISH', 'shapshot:changes', id)
return 'deleted'
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
for _, member in ipairs(redis.call('ZRANGEBYSCORE', wip, 0, now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', wip, member)
  local id, attempt = string.match(member, '^(.*):(.*)$')
  local key = 'shapshot:explanation:' .. id
  if redis.call('HGET', key, 'attempt') == attempt then
    reaped = reaped + 1
    if redis.call('HGET', key, 'cancel') then
      conclude(id, 'canceled', now, ARGV[5])
    elseif tonumber(redis.call('HGET', key, 'attempts')) >= tonumber(ARGV[4]) then
      redis.call('HSET', key, 'error', ARGV[6])
      conclude(id, 'failed', now, ARGV[5])
    else
      put_back(id, queue)
    end
  end
end
for _, id in ipairs(redis.call('LRANGE', intermediate, 0, 99)) do
  local seen = redis.call('ZSCORE', 'shapshot:limbo', id)
  if redis.call('HGET', 'shapshot:explanation:' .. id, 'status') ~= 'queued' then
    redis.call('LREM', intermediate, 0, id)
    redis.call('ZREM', 'shapshot:limbo', id)
  elseif not seen then
    redis.call('ZADD', 'shapshot:limbo', now, id)
  elseif tonumber(seen) + tonumber(ARGV[3]) < now then
    redis.call('LREM', intermediate, 0, id)
    redis.call('ZREM', 'shapshot:limbo', id)
    put_back(id, queue)
    reaped = reaped + 1
  end
end
return reaped
"""
)

# What is left of an explanation after its artefacts expired: that it was there.
# ARGV: id, seconds to remember it
BURY = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  local created = redis.call('HGET', KEYS[1], 'created_at')
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'status', 'expired', 'created_at', created)
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  redis.call('PUBLISH', 'shapshot:changes', ARGV[1])
end
redis.call('ZREM', 'shapshot:explanations', ARGV[1])
redis.call('ZREM', 'shapshot:expiry', ARGV[1])
"""
