-- Removes a webhook with its deliveries.
-- Replies: unhooked

local asked = cjson.decode(ARGV[1])
local webhook = asked.id
local owner = redis.call('HGET', 'shapshot:webhook:' .. webhook, 'owner')
subscribe(webhook, nil)
for _, kind in ipairs({'deliveries', 'delivered', 'undelivered'}) do
  local set = 'shapshot:' .. kind .. ':' .. webhook
  for _, delivery in ipairs(redis.call('ZRANGE', set, 0, -1)) do
    redis.call('DEL', 'shapshot:delivery:' .. delivery)
  end
  redis.call('DEL', set)
end
redis.call('DEL', 'shapshot:taken:' .. webhook, 'shapshot:webhook:' .. webhook)
redis.call('ZREM', 'shapshot:deliveries', webhook)
redis.call('ZREM', 'shapshot:webhooks', webhook)
if owner then redis.call('ZREM', 'shapshot:webhooks:' .. owner, webhook) end
return {'unhooked'}
