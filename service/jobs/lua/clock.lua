-- Reads Redis's clock, in seconds since the epoch; a script reads it once, and once for each event.
-- Times that different machines write are compared with each other, so all come from this clock.
local function read_clock()
  local seconds, microseconds = unpack(redis.call('TIME'))
  return seconds + microseconds / 1e6
end

-- Caps the leases in this sorted set at the end of a lease that begins now: a later end means that
-- the clock was set back, or that somebody else wrote it
local function shorten_leases(leases, latest)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, latest, '+inf')) do
    redis.call('ZADD', leases, latest, member)
  end
end
