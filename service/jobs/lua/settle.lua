-- Records an attempt of a delivery, if the one who took it still has it.
-- Replies: settled | fenced

local asked = cjson.decode(ARGV[1])
local id, webhook, now = asked.id, asked.webhook, read_clock()
local key, hook = 'shapshot:delivery:' .. id, 'shapshot:webhook:' .. webhook
local pending = 'shapshot:deliveries:' .. webhook
if redis.call('HGET', key, 'token') ~= asked.token then return {'fenced'} end
redis.call('HDEL', key, 'token', 'order')
redis.call('HSET', key, 'body', asked.body, 'attempts', asked.attempts, 'tries', asked.tries)
redis.call('HSET', key, 'status', asked.status)
redis.call('ZREM', 'shapshot:taken:' .. webhook, id)
if asked.status == 'pending' then
  redis.call('ZADD', pending, now + asked.retry_s, id)
else
  count('deliveries:' .. asked.status, 1)
  local ended = asked.status == 'delivered' and 'delivered:' or 'undelivered:'
  redis.call('ZREM', pending, id)
  redis.call('ZADD', 'shapshot:' .. ended .. webhook, now, id)
  for _ = asked.kept + 1, redis.call('ZCARD', 'shapshot:' .. ended .. webhook) do
    local oldest = redis.call('ZPOPMIN', 'shapshot:' .. ended .. webhook)[1]
    redis.call('DEL', 'shapshot:delivery:' .. oldest)
  end
end
if asked.status == 'delivered' then
  redis.call('HDEL', hook, 'failing_since')
  redis.call('HINCRBY', hook, 'delivered', 1)
else
  count('delivery_failures:' .. asked.failure, 1)
  redis.call('HSETNX', hook, 'failing_since', now)
  local failing_s = now - redis.call('HGET', hook, 'failing_since')
  local reason = asked.disabled_for or failing_s > asked.patience_s and asked.out_of_patience
  if reason then
    if redis.call('HEXISTS', hook, 'disabled_at') == 0 then
      count('webhooks_disabled:' .. (asked.disabled_for and 'gone' or 'failing'), 1)
    end
    disable(webhook, reason, now)
  end
end
schedule(webhook)
return {'settled'}
