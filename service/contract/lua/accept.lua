-- One explanation, or a batch and all of its own, if there is room. What was explained before has
-- no job, nor has the batch itself. Otherwise that its claim was made before, or whose room there
-- is none in, and the seconds in which there may be (-1: nobody knows).
-- ARGV: queue, now, flow, cost of a job, owner or '', jobs, their bytes, most jobs that may wait,
-- most bytes, the same two of an owner, expires_at of what is done, a claim's key or '', its text,
-- its seconds, then for each: id, n, m, then n field-value pairs of its hash and m of RQ's job

local queue, now, flow, cost, owner = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local jobs, bytes, claim = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[13]
if redis.call('EXISTS', KEYS[1]) == 1 then return {'accepted'} end  -- the answer got lost
if claim ~= '' and redis.call('EXISTS', claim) == 1 then return {'claimed'} end
local over, waiting = excess('', jobs, bytes, ARGV[8], ARGV[9])
local own_over, own = excess(':' .. owner, jobs, bytes, ARGV[10], ARGV[11])
if jobs > 0 and over > 0 then return {'server', patience(over, now)} end
if jobs > 0 and owner ~= '' and own_over > 0 then
  return {'owner', patience(own_over * waiting / math.max(own, 1), now)}
end
if claim ~= '' then redis.call('SET', claim, ARGV[14], 'EX', ARGV[15]) end
if waiting == 0 then watch_ends(now) end
redis.call('SADD', 'rq:queues', 'rq:queue:' .. queue)
local at = 16
while at <= #ARGV do
  local id, fields, job = ARGV[at], at + 3, at + 3 + 2 * ARGV[at + 1]
  local following = job + 2 * ARGV[at + 2]
  redis.call('HSET', 'shapshot:explanation:' .. id, unpack(ARGV, fields, job - 1))
  local status = field(id, 'status')
  if status then index(id, now) end
  if status == 'queued' then
    redis.call('HSET', 'rq:job:' .. id, unpack(ARGV, job, following - 1))
    enter(id, queue, flow, cost)
    count('accepted:' .. field(id, 'method'), 1)
    if field(id, 'cache') then count('cache_misses', 1) end
  end
  if status == 'succeeded' then
    redis.call('ZADD', 'shapshot:expiry', ARGV[12], id)
    count('cache_hits', 1)
  else
    redis.call('ZREM', 'shapshot:expiry', id)
  end
  changed(id)
  at = following
end
conclude_batch(redis.call('HGET', KEYS[1], 'batch'), ARGV[12])
return {'accepted'}
