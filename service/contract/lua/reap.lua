-- Jobs whose worker fell silent, and ids that a worker took from the queue and never began.
-- ARGV: queue, now, lease, most attempts, expires_at, error of a job given up

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
