-- Renews the leases of a worker's attempts, and records their progress.
-- Replies: ticked, then for each in its order: owned, cancel (owned, and to be canceled) or fenced

local asked = cjson.decode(ARGV[1])
local lease_ends = read_clock() + asked.lease_s
local reply = {'ticked'}

local function tick(id, attempt, progress)
  local key = 'shapshot:explanation:' .. id
  if redis.call('HGET', key, 'attempt') ~= attempt then return 'fenced' end
  redis.call('ZADD', 'rq:wip:' .. asked.queue, lease_ends, id .. ':' .. attempt)
  if progress then
    redis.call('HSET', key, 'progress', progress)
    changed(id)
  end
  return redis.call('HGET', key, 'cancel') and 'cancel' or 'owned'
end

for _, renewal in ipairs(asked.renewals) do
  reply[#reply + 1] = tick(renewal.id, renewal.attempt, renewal.progress)
end
return reply
