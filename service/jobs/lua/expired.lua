-- Ends the holds whose time is over, and finds what has expired. What it found stays due, whatever
-- the clock says later, as its artifacts are being removed.
-- Replies: expired, the ids with artifacts that may be removed

local asked = cjson.decode(ARGV[1])
local now = read_clock()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'shapshot:holds', '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', 'shapshot:holds', id)
  if field(id, 'held_by') then
    audit(asked.audit, now, 'released', id, {detail = 'the time of the hold is over'})
  end
  if field(id, 'held_by') then pcall(end_hold, id, now, asked.grace_s) end
end
local reply = {'expired'}
local due = redis.call('ZRANGEBYSCORE', 'shapshot:expiry', 0, now, 'LIMIT', 0, asked.limit)
for _, id in ipairs(due) do
  if is_held(id, now) then  -- as an older worker may have ended it
    redis.call('ZADD', 'shapshot:expiry', '+inf', id)
  else
    redis.call('ZADD', 'shapshot:expiry', 0, id)
    reply[#reply + 1] = id
  end
end
return reply
