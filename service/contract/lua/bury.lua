-- What is left of an explanation after its artefacts expired: that it was there, and whose it was.
-- ARGV: id, seconds to remember it

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
