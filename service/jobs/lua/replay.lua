-- Queues a delivery again, or a new one that only tests the webhook.
-- Replies: queued | claimed, if the claim was made before | missing | disabled, if its webhook is

local asked = cjson.decode(ARGV[1])
local webhook, key = asked.webhook, 'shapshot:delivery:' .. asked.id
if is_claimed(asked.claim) then return {'claimed'} end
if redis.call('HEXISTS', 'shapshot:webhook:' .. webhook, 'disabled_at') == 1 then
  return {'disabled'}
end
if asked.test then
  write_claim(asked.claim)
  queue_delivery(webhook, asked.id, asked.test, {subject = webhook, subject_status = 'test'})
  return {'queued'}
end
if redis.call('HGET', key, 'webhook') ~= webhook then return {'missing'} end
write_claim(asked.claim)
redis.call('HDEL', key, 'token')
redis.call('HSET', key, 'status', 'pending', 'tries', 0)
for _, kind in ipairs({'taken', 'delivered', 'undelivered'}) do
  redis.call('ZREM', 'shapshot:' .. kind .. ':' .. webhook, asked.id)
end
redis.call('ZADD', 'shapshot:deliveries:' .. webhook, read_clock(), asked.id)
schedule(webhook)
return {'queued'}
