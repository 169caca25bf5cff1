-- The one clock of the service. Seconds since the epoch as Redis has them, to be read once a
-- script: machines differ, and what one of them writes here is compared with what others wrote.
local function read_clock()
  local seconds, microseconds = unpack(redis.call('TIME'))
  return seconds + microseconds / 1e6
end

-- No lease in this sorted set ends later than one that begins now: where one does, the clock was
-- set back since, or somebody else wrote it
local function shorten_leases(leases, latest)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, latest, '+inf')) do
    redis.call('ZADD', leases, latest, member)
  end
end
