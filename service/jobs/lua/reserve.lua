-- Registers ids before their artifacts are stored; ids not accepted in time are swept.
-- Replies: reserved

local asked = cjson.decode(ARGV[1])
local expires_at = read_clock() + asked.reservation_s
for _, id in ipairs(asked.ids) do redis.call('ZADD', 'shapshot:expiry', expires_at, id) end
return {'reserved'}
