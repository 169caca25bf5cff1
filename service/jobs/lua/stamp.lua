-- Notes the timestamp of a record with the explanation.
-- Replies: stamped | known, if it has a timestamp | gone

local asked = cjson.decode(ARGV[1])
local id = asked.id
redis.call('SREM', 'shapshot:unstamped', id)
local record = field(id, 'record')
if not record then return {'gone'} end
if cjson.decode(record).timestamp then return {'known'} end
redis.call('HSET', KEYS[1], 'record', asked.record)
changed(id)
return {'stamped'}
