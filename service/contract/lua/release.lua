-- A worker gives its job back to the front.
-- ARGV: id, queue, attempt, now, expires_at, 1 where that start counts, 0 where it does not

local id, attempt = ARGV[1], ARGV[3]
redis.call('ZREM', 'rq:wip:' .. ARGV[2], id .. ':' .. attempt)
if redis.call('HGET', KEYS[1], 'attempt') ~= attempt then return 'fenced' end
if redis.call('HGET', KEYS[1], 'cancel') then
  conclude(id, 'canceled', ARGV[4], ARGV[5])
  return 'canceled'
end
if ARGV[6] == '0' then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
put_back(id, ARGV[2])
return 'released'
