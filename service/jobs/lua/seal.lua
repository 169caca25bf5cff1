-- Appends the record of an explanation to the chain, and notes it with the explanation.
-- Replies: sealed | known, if it has a record | moved, if another record came first, the number of
-- records and the last entry | gone

local asked = cjson.decode(ARGV[1])
local id = asked.id
if not field(id, 'result') then
  redis.call('SREM', 'shapshot:unsealed', id)
  return {'gone'}
end
if field(id, 'record') then
  redis.call('SREM', 'shapshot:unsealed', id)
  return {'known'}
end
local sealed = redis.call('LLEN', 'shapshot:records')
if sealed ~= asked.sequence then
  return {'moved', sealed, redis.call('LINDEX', 'shapshot:records', -1) or ''}
end
redis.call('RPUSH', 'shapshot:records', asked.entry)
redis.call('HSET', KEYS[1], 'record', asked.record)
redis.call('SREM', 'shapshot:unsealed', id)
if asked.stamp then redis.call('SADD', 'shapshot:unstamped', id) end
changed(id)
notify('explanation.recorded', id)
return {'sealed'}
