-- A worker gives its job back to the front.
-- ARGV: id, queue, attempt, seconds to keep what is done, 1 where that start counts, else 0

local id, attempt = ARGV[1], ARGV[3]
redis.call('ZREM', 'rq:wip:' .. ARGV[2], id .. ':' .. attempt)
if redis.call('HGET', KEYS[1], 'attempt') ~= attempt then return 'fenced' end
if redis.call('HGET', KEYS[1], 'cancel') then
  conclude(id, 'canceled', read_clock(), ARGV[4])
  return 'canceled'
end
if ARGV[5] == '0' then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
put_back(id, ARGV[2])
return 'released'
