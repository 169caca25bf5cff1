-- Renews a worker's lease and publishes its cards: see worker_registry.py.
-- KEYS[1]: the hash of its cards
-- Replies: announced

local WORKERS, CARDS, SEEN = 'shapshot:workers', 'shapshot:models', 'shapshot:models:seen'
local asked = cjson.decode(ARGV[1])
local now = read_clock()
local lease_ends = now + asked.lease_s

redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', now)
redis.call('ZADD', WORKERS, lease_ends, asked.worker)
shorten_leases(WORKERS, lease_ends)

for _, card in ipairs(asked.cards) do
  redis.call('HSET', KEYS[1], card.model, card.text)
  redis.call('ZADD', SEEN, now, card.model)
  -- The card of a model that is loading, or failed to load, does not replace a usable one
  redis.call(card.usable and 'HSET' or 'HSETNX', CARDS, card.model, card.text)
  if card.default then redis.call('SET', 'shapshot:models:default', card.model) end
end
redis.call('EXPIRE', KEYS[1], asked.lease_s)

if asked.remember_s then
  for _, model in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', now - asked.remember_s)) do
    redis.call('HDEL', CARDS, model)
    redis.call('ZREM', SEEN, model)
  end
end
return {'announced'}
