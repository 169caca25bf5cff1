-- ARGV: id, queue, seconds to keep what is done

local id, queue = ARGV[1], ARGV[2]
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return false end
if status == 'queued' then
  refund(id, queue)
  leave(id, queue)
  conclude(id, 'canceled', read_clock(), ARGV[3])
  return 'canceled'
elseif status == 'running' then
  redis.call('HSET', KEYS[1], 'status', 'canceling', 'cancel', '1')
  changed(id)
  return 'canceling'
end
return status
