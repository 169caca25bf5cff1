-- Measures the rate at which jobs end: `shapshot:ended` counts the jobs ended since the queue was
-- last empty, each with a weight that decays with its age.
--
-- pcall: the estimate is a hint, so foreign data in its key must not stop a job

local FADES_IN = 300  -- seconds
local function faded(past, now)
  return math.exp(math.min(past - now, 0) / FADES_IN)
end

local function watch_ends(now)
  redis.pcall('HSET', 'shapshot:ended', 'jobs', 0, 'at', now, 'since', now)
end

local function note_end(now)
  local jobs, at = unpack(redis.pcall('HMGET', 'shapshot:ended', 'jobs', 'at'))
  if not jobs then return watch_ends(now) end  -- the key was removed or replaced
  redis.call('HSET', 'shapshot:ended', 'jobs', jobs * faded(at, now) + 1, 'at', now)
end

-- Estimates the seconds until this number of jobs ends, at the recent rate; nil if none has ended
local function estimate_wait(jobs, now)
  local ended, at, since = unpack(redis.pcall('HMGET', 'shapshot:ended', 'jobs', 'at', 'since'))
  if not ended or tonumber(ended) == 0 then return nil end
  local span = math.max(FADES_IN * (1 - faded(since, now)), 1)
  return math.ceil(jobs * span / (ended * faded(at, now)))
end
