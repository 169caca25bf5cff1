-- Cancels a waiting explanation; requests cancellation of a running one.
-- Replies: missing | status, the one it has now

local asked = cjson.decode(ARGV[1])
local id, queue = asked.id, asked.queue
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return {'missing'} end
local now = read_clock()
if status == 'queued' or status == 'running' then
  audit_though_full(asked.audit, now, 'canceled', id)
end
if status == 'queued' then
  refund(id, queue)
  leave(id, queue)
  conclude(id, 'canceled', now, asked.retention_s)
  return {'status', 'canceled'}
elseif status == 'running' then
  redis.call('HSET', KEYS[1], 'status', 'canceling', 'cancel', '1')
  refacet(id, 'status:canceling')
  changed(id)
  return {'status', 'canceling'}
end
return {'status', status}
