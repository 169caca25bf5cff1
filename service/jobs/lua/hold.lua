-- Holds an explanation against expiry and deletion, or changes its hold.
-- Replies: held | gone, if it has expired or was deleted | taken, if somebody else holds it | past,
-- if the hold would have ended already

local asked = cjson.decode(ARGV[1])
local id, now, ends = asked.id, read_clock(), tonumber(asked.ends)
local status, due = field(id, 'status'), redis.call('ZSCORE', 'shapshot:expiry', id)
if not status or status == 'expired' or (due and tonumber(due) <= now) then return {'gone'} end
if ends and ends <= now then return {'past'} end
local holder = is_held(id, now) and field(id, 'held_by')
if holder and holder ~= asked.by and not asked.replaces then return {'taken'} end
audit(asked.audit, now, 'held', id, {detail = asked.reason, what = asked.ends})
local expires_at = tonumber(field(id, 'expires_at'))
if expires_at then  -- the rest of its time counts from the release on
  redis.call('HSET', KEYS[1], 'expires_in', math.max(expires_at - now, 0))
  redis.call('HDEL', KEYS[1], 'expires_at')
  redis.call('ZADD', 'shapshot:expiry', '+inf', id)
end
if holder ~= asked.by then redis.call('HSET', KEYS[1], 'held_by', asked.by, 'held_at', now) end
redis.call('HSET', KEYS[1], 'held_for', asked.reason)
redis.call('HDEL', KEYS[1], 'held_until')
if ends then redis.call('HSET', KEYS[1], 'held_until', asked.ends) end
redis.call('ZADD', 'shapshot:holds', ends and asked.ends or '+inf', id)
local batch = field(id, 'batch')
if batch then redis.call('ZADD', 'shapshot:expiry', 'XX', '+inf', batch) end
refacet(id, 'held:true')
changed(id)
return {'held'}
