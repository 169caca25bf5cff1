-- Appends a signed segment of the audit log to the chain, and to the segments.
-- Replies: segmented | moved, if another statement or segment came first

local asked = cjson.decode(ARGV[1])
local sealed = 'shapshot:audit:sealed'
local is_next = (redis.call('HGET', sealed, 'last') or '') == asked.after
if redis.call('LLEN', 'shapshot:records') ~= asked.sequence or not is_next then return {'moved'} end
redis.call('RPUSH', 'shapshot:records', asked.entry)
redis.call('XADD', 'shapshot:audit:segments', '*',
  'first', asked.first, 'last', asked.last, 'envelope', asked.envelope)
redis.call('HSET', sealed, 'last', asked.last, 'sha256', asked.sha256)
return {'segmented'}
