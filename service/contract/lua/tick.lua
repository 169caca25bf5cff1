-- All that a worker runs at once; the answers are in their order.
-- ARGV: queue, seconds of a lease, then for each: id, attempt, progress or ''

local lease_ends = read_clock() + ARGV[2]

local function tick(id, attempt, progress)
  local key = 'shapshot:explanation:' .. id
  if redis.call('HGET', key, 'attempt') ~= attempt then return 'fenced' end
  redis.call('ZADD', 'rq:wip:' .. ARGV[1], lease_ends, id .. ':' .. attempt)
  if progress ~= '' then
    redis.call('HSET', key, 'progress', progress)
    changed(id)
  end
  return redis.call('HGET', key, 'cancel') and 'cancel' or 'owned'
end

local answers = {}
for i = 3, #ARGV, 3 do answers[#answers + 1] = tick(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
return answers
