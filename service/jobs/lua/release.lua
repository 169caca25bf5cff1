-- Requeues a worker's job at the front.
-- Replies: released | canceled, if a cancel was requested | fenced

local asked = cjson.decode(ARGV[1])
local id, attempt = asked.id, asked.attempt
redis.call('ZREM', 'rq:wip:' .. asked.queue, id .. ':' .. attempt)
if redis.call('HGET', KEYS[1], 'attempt') ~= attempt then return {'fenced'} end
if redis.call('HGET', KEYS[1], 'cancel') then
  conclude(id, 'canceled', read_clock(), asked.retention_s)
  return {'canceled'}
end
if not asked.counts then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
put_back(id, asked.queue)
return {'released'}
