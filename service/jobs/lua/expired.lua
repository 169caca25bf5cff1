-- Replies: expired, the ids with artifacts that may be removed

local asked = cjson.decode(ARGV[1])
local due = redis.call('ZRANGEBYSCORE', 'shapshot:expiry', 0, read_clock(), 'LIMIT', 0, asked.limit)
table.insert(due, 1, 'expired')
return due
