-- Cancels a waiting explanation; requests cancellation of a running one.
-- Replies: missing | status, the one it has now

local asked = cjson.decode(ARGV[1])
local id, queue = asked.id, asked.queue
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return {'missing'} end
if status == 'queued' then
  refund(id, queue)
  leave(id, queue)
  conclude(id, 'canceled', read_clock(), asked.retention_s)
  return {'status', 'canceled'}
elseif status == 'running' then
  redis.call('HSET', KEYS[1], 'status', 'canceling', 'cancel', '1')
  refacet(id, 'status:canceling')
  changed(id)
  return {'status', 'canceling'}
end
return {'status', status}
