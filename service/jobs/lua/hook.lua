-- Adds a webhook, or changes one that still has the version that the caller read.
-- Replies: hooked | claimed, if the claim was made before | changed |
-- full, if the owner has as many as are allowed

local asked = cjson.decode(ARGV[1])
local now, key = read_clock(), 'shapshot:webhook:' .. asked.id
local version = redis.call('HGET', key, 'version')
if is_claimed(asked.claim) then return {'claimed'} end
if version and not asked.version then return {'hooked'} end  -- the reply was lost
if (asked.version or false) ~= version then return {'changed'} end
local own = asked.owner and 'shapshot:webhooks:' .. asked.owner or 'shapshot:webhooks'
if not version then
  if redis.call('ZCARD', own) >= asked.most then return {'full'} end
  redis.call('ZADD', 'shapshot:webhooks', now, asked.id)
  redis.call('ZADD', own, now, asked.id)
  redis.call('HSET', key, 'created_at', now, 'everyone', asked.everyone and 1 or 0)
  if asked.owner then redis.call('HSET', key, 'owner', asked.owner) end
end
write_claim(asked.claim)
redis.call('HSET', key, 'config', asked.config)
redis.call('HINCRBY', key, 'version', 1)
if asked.disabled_for then
  disable(asked.id, asked.disabled_for, now)
else
  redis.call('HDEL', key, 'disabled_at', 'disabled_for')
  if asked.enabled then redis.call('HDEL', key, 'failing_since') end
  subscribe(asked.id, asked.events)
  schedule(asked.id)
end
return {'hooked'}
