-- How fast the line of jobs moves: `shapshot:ended` has the jobs ended since it was last empty,
-- each counting less the longer ago that was.
--
-- pcall: a hint is no reason to stop a job, whatever somebody wrote into its key

local FADES_IN = 300  -- seconds
local function faded(past, now)
  return math.exp(math.min(past - now, 0) / FADES_IN)
end

local function watch_ends(now)
  redis.pcall('HSET', 'shapshot:ended', 'jobs', 0, 'at', now, 'since', now)
end

local function note_end(now)
  local jobs, at = unpack(redis.pcall('HMGET', 'shapshot:ended', 'jobs', 'at'))
  if not jobs then return watch_ends(now) end  -- somebody removed or replaced it
  redis.call('HSET', 'shapshot:ended', 'jobs', jobs * faded(at, now) + 1, 'at', now)
end

-- Seconds in which so many jobs will end at the rate of late; nil where none has ended
local function estimate_wait(jobs, now)
  local ended, at, since = unpack(redis.pcall('HMGET', 'shapshot:ended', 'jobs', 'at', 'since'))
  if not ended or tonumber(ended) == 0 then return nil end
  local span = math.max(FADES_IN * (1 - faded(since, now)), 1)
  return math.ceil(jobs * span / (ended * faded(at, now)))
end
