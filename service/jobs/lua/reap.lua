-- Requeues or ends jobs whose lease expired, and requeues jobs that were dequeued but never begun.
-- Replies: reaped, how many

local asked = cjson.decode(ARGV[1])
local queue, lease, now = asked.queue, asked.lease_s, read_clock()
local wip, intermediate = 'rq:wip:' .. queue, 'rq:queue:' .. queue .. ':intermediate'
local reaped = 0

local function reap(member)
  local id, attempt = string.match(member, '^(.*):(.*)$')
  local key = 'shapshot:explanation:' .. id
  if redis.call('HGET', key, 'attempt') ~= attempt then return end
  if redis.call('HGET', key, 'cancel') then
    conclude(id, 'canceled', now, asked.retention_s)
  elseif tonumber(redis.call('HGET', key, 'attempts')) >= asked.max_attempts then
    redis.call('HSET', key, 'error', asked.error)
    conclude(id, 'failed', now, asked.retention_s)
  else
    put_back(id, queue)
  end
  reaped = reaped + 1
end

local function rescue(id)
  local seen = tonumber(redis.call('ZSCORE', 'shapshot:limbo', id))
  local waits = redis.pcall('HGET', 'shapshot:explanation:' .. id, 'status') == 'queued'
  if waits and not (seen and seen <= now) then  -- not seen yet, or seen before the clock went back
    redis.call('ZADD', 'shapshot:limbo', now, id)
    return
  elseif waits and seen + lease >= now then
    return
  end
  redis.call('LREM', intermediate, 0, id)
  redis.call('ZREM', 'shapshot:limbo', id)
  if waits then
    put_back(id, queue)
    reaped = reaped + 1
  end
end

-- Returns whether the last run was so long ago that the clock may have jumped, or Redis was down.
-- Live workers then had no chance to renew the leases that expired, and get one now. This happens
-- once: the next run finds no time of an earlier run.
local function is_late()
  local looked = 'shapshot:reaped:' .. queue
  local last = tonumber(redis.pcall('GET', looked))
  if last and now - last > math.max(lease / 2, 1) then
    redis.call('DEL', looked)
    return true
  end
  redis.call('SET', looked, now)
  return false
end

if is_late() then
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', wip, '-inf', now)) do
    redis.call('ZADD', wip, now + lease / 4, member)
  end
  return {'reaped', 0}
end

for _, member in ipairs(redis.call('ZRANGEBYSCORE', wip, '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', wip, member)
  pcall(reap, member)  -- fails on a foreign entry, which is already removed
end
shorten_leases(wip, now + lease)

for _, id in ipairs(redis.call('LRANGE', intermediate, 0, 99)) do
  pcall(rescue, id)
end

return {'reaped', reaped}
