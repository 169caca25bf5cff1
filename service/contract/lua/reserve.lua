-- Artefacts of these ids are about to be stored; what is not accepted in time is swept away.
-- ARGV: seconds until then, ids

local expires_at = read_clock() + ARGV[1]
for i = 2, #ARGV do redis.call('ZADD', 'shapshot:expiry', expires_at, ARGV[i]) end
