-- A worker lives, and these are its cards: see presence.py.
-- KEYS[1]: the hash of its cards
-- ARGV: worker, seconds of a lease, seconds to remember a model, then for each card: model, text,
-- 1 where the model can be used or 0, 1 where it is the default or 0

local WORKERS, CARDS, SEEN = 'shapshot:workers', 'shapshot:models', 'shapshot:models:seen'
local now = read_clock()
local lease_ends = now + ARGV[2]

redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', now)
redis.call('ZADD', WORKERS, lease_ends, ARGV[1])
shorten_leases(WORKERS, lease_ends)

for i = 4, #ARGV, 4 do
  local model, text = ARGV[i], ARGV[i + 1]
  redis.call('HSET', KEYS[1], model, text)
  redis.call('ZADD', SEEN, now, model)
  -- What is being loaded, or failed to be, does not replace what could be used
  redis.call(ARGV[i + 2] == '1' and 'HSET' or 'HSETNX', CARDS, model, text)
  if ARGV[i + 3] == '1' then redis.call('SET', 'shapshot:models:default', model) end
end
redis.call('EXPIRE', KEYS[1], ARGV[2])

for _, model in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', now - ARGV[3])) do
  redis.call('HDEL', CARDS, model)
  redis.call('ZREM', SEEN, model)
end
