-- A worker that must stop gives its job back to the front; that start is not held against the job.
-- ARGV: id, queue, attempt, now, expires_at

local id, attempt = ARGV[1], ARGV[3]
redis.call('ZREM', 'rq:wip:' .. ARGV[2], id .. ':' .. attempt)
if redis.call('HGET', KEYS[1], 'attempt') ~= attempt then return 'fenced' end
if redis.call('HGET', KEYS[1], 'cancel') then
  conclude(id, 'canceled', ARGV[4], ARGV[5])
  return 'canceled'
end
redis.call('HINCRBY', KEYS[1], 'attempts', -1)
put_back(id, ARGV[2])
return 'released'
