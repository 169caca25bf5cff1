-- Artefacts of these ids are about to be stored; what is not accepted in time is swept away.
-- Replies: reserved

local asked = cjson.decode(ARGV[1])
local expires_at = read_clock() + asked.reservation_s
for _, id in ipairs(asked.ids) do redis.call('ZADD', 'shapshot:expiry', expires_at, id) end
return {'reserved'}
