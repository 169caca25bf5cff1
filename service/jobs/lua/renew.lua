-- Renews the leases of a worker's attempts, and records their progress and previews.
-- Replies: ticked, then for each in its order: owned, watched (owned, and a client watches its
-- previews), cancel (owned, and to be canceled) or fenced

local asked = cjson.decode(ARGV[1])
local lease_ends = read_clock() + asked.lease_s
local reply = {'ticked'}

local function tick(id, attempt, progress, preview)
  local key = 'shapshot:explanation:' .. id
  if redis.call('HGET', key, 'attempt') ~= attempt then return 'fenced' end
  redis.call('ZADD', 'rq:wip:' .. asked.queue, lease_ends, id .. ':' .. attempt)
  if progress then redis.call('HSET', key, 'progress', progress) end
  if preview then
    redis.call('SET', 'shapshot:preview:' .. id, preview.text, 'EX', asked.preview_s)
    redis.call('HSET', key, 'preview', preview.evaluations)
  end
  if progress or preview then changed(id) end
  if redis.call('HGET', key, 'cancel') then return 'cancel' end
  return redis.call('EXISTS', 'shapshot:watched:' .. id) == 1 and 'watched' or 'owned'
end

for _, each in ipairs(asked.renewals) do
  reply[#reply + 1] = tick(each.id, each.attempt, each.progress, each.preview)
end
return reply
