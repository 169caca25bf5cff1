-- Takes deliveries that are due, a few of each webhook, until they are settled or the lease ends.
-- A webhook that fails gets one at a time.
-- Replies: taken, the time, the seconds until another is due (-1: none waits), then for each taken
-- its id, the configuration of its webhook, and its fields

local asked = cjson.decode(ARGV[1])
local now, left = read_clock(), asked.limit
local reply = {'taken', string.format('%.6f', now), '-1'}
local lease_ends = now + asked.lease_s

local function take(webhook, delivery, config)
  local key = 'shapshot:delivery:' .. delivery
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', 'shapshot:deliveries:' .. webhook, delivery)
    return
  end
  redis.call('HSET', key, 'token', asked.token)
  redis.call('ZADD', 'shapshot:deliveries:' .. webhook, lease_ends, delivery)
  redis.call('ZADD', 'shapshot:taken:' .. webhook, lease_ends, delivery)
  left = left - 1
  reply[#reply + 1] = {delivery, config, redis.call('HGETALL', key)}
end

local function take_from(webhook)
  local pending, taken = 'shapshot:deliveries:' .. webhook, 'shapshot:taken:' .. webhook
  local config, failing =
    unpack(redis.call('HMGET', 'shapshot:webhook:' .. webhook, 'config', 'failing_since'))
  if not config then return redis.call('ZREM', 'shapshot:deliveries', webhook) end
  redis.call('ZREMRANGEBYSCORE', taken, '-inf', now)
  shorten_leases(taken, lease_ends)
  local room = (failing and 1 or asked.of_each) - redis.call('ZCARD', taken)
  local most = math.min(room, left)
  if most > 0 then
    local due = redis.call('ZRANGEBYSCORE', pending, '-inf', now, 'LIMIT', 0, most)
    for _, delivery in ipairs(due) do take(webhook, delivery, config) end
  end
  schedule(webhook)
  if redis.call('ZCARD', taken) >= (failing and 1 or asked.of_each) then
    local _, ends = unpack(redis.call('ZRANGE', taken, 0, 0, 'WITHSCORES'))
    redis.call('ZADD', 'shapshot:deliveries', ends, webhook)  -- or until one is settled
  end
end

for _, webhook in ipairs(redis.call('ZRANGEBYSCORE', 'shapshot:deliveries', '-inf', now)) do
  if left == 0 then break end
  take_from(webhook)
end
local following = redis.call('ZRANGE', 'shapshot:deliveries', 0, 0, 'WITHSCORES')
if following[2] then reply[3] = string.format('%.6f', math.max(following[2] - now, 0)) end
return reply
