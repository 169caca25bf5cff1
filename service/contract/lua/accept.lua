-- One explanation, or a batch and all of its own, if there is room. What was explained before has
-- no job, nor has the batch itself. Otherwise that its claim was made before, or whose room there
-- is none in, and the seconds in which there may be (-1: nobody knows).
-- ARGV: queue, flow, cost of a job, owner or '', jobs, their bytes, most jobs that may wait, most
-- bytes, the same two of an owner, seconds to keep what is done, a claim's key or '', its text, its
-- seconds, then for each: id, n, m, then n field-value pairs of its hash and m of RQ's job

local queue, flow, cost, owner = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local jobs, bytes, claim = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[12]
local now = read_clock()
local expires_at = now + ARGV[11]
if redis.call('EXISTS', KEYS[1]) == 1 then return {'accepted'} end  -- the answer got lost
if claim ~= '' and redis.call('EXISTS', claim) == 1 then return {'claimed'} end
local over, waiting = excess('', jobs, bytes, ARGV[7], ARGV[8])
local own_over, own = excess(':' .. owner, jobs, bytes, ARGV[9], ARGV[10])
if jobs > 0 and over > 0 then return {'server', patience(over, now)} end
if jobs > 0 and owner ~= '' and own_over > 0 then
  return {'owner', patience(own_over * waiting / math.max(own, 1), now)}
end
if claim ~= '' then redis.call('SET', claim, ARGV[13], 'EX', ARGV[14]) end
if waiting == 0 then watch_ends(now) end
redis.call('SADD', 'rq:queues', 'rq:queue:' .. queue)
local at = 15
while at <= #ARGV do
  local id, fields, job = ARGV[at], at + 3, at + 3 + 2 * ARGV[at + 1]
  local following = job + 2 * ARGV[at + 2]
  local key = 'shapshot:explanation:' .. id
  redis.call('HSET', key, 'created_at', now, unpack(ARGV, fields, job - 1))
  local status = field(id, 'status')
  if status then index(id, now) end
  if status == 'queued' then
    redis.call('HSET', 'rq:job:' .. id, unpack(ARGV, job, following - 1))
    enter(id, queue, flow, cost)
    count('accepted:' .. field(id, 'method'), 1)
    if field(id, 'cache') then count('cache_misses', 1) end
  end
  if status == 'succeeded' then
    redis.call('HSET', key, 'finished_at', now, 'expires_at', expires_at)
    redis.call('ZADD', 'shapshot:expiry', expires_at, id)
    count('cache_hits', 1)
  else
    redis.call('ZREM', 'shapshot:expiry', id)
  end
  changed(id)
  at = following
end
conclude_batch(redis.call('HGET', KEYS[1], 'batch'), expires_at)
return {'accepted'}
