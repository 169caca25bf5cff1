-- Replaces an explanation whose artifacts are removed by a tombstone: status, time and owner.
-- Replies: buried

local asked = cjson.decode(ARGV[1])
local id = asked.id
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
  local created, owner, record =
    unpack(redis.call('HMGET', KEYS[1], 'created_at', 'owner', 'record'))
  local batch = field(id, 'batch')
  local is_new = created and field(id, 'status') ~= 'expired'
  if is_new then audit_though_full(asked.audit, read_clock(), 'expired', id) end
  if not field(id, 'members') then notify('explanation.expired', id, 'expired') end
  offer_no_more(id)
  unindex(id)
  redis.call('DEL', KEYS[1], 'shapshot:reviews:' .. id)
  redis.call('HSET', KEYS[1], 'status', 'expired', 'created_at', created or 0)
  if owner then redis.call('HSET', KEYS[1], 'owner', owner) end
  if record then redis.call('HSET', KEYS[1], 'record', record) end
  redis.call('EXPIRE', KEYS[1], asked.tombstone_s)
  unlist_empty(batch)
  redis.call('PUBLISH', 'shapshot:changes', id)
end
redis.call('SREM', 'shapshot:unsealed', id)
redis.call('ZREM', 'shapshot:holds', id)
redis.call('ZREM', 'shapshot:expiry', id)
return {'buried'}
