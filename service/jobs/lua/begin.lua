-- Begins a job for a worker. With the first job of a batch, a worker also begins others of the
-- batch, from any place in the queue.
-- Replies: begun | missing | not_queued, the status it has

local asked = cjson.decode(ARGV[1])
local id, queue, attempt, now = asked.id, asked.queue, asked.attempt, read_clock()
local its_turn = leave(id, queue)
local status = redis.pcall('HGET', KEYS[1], 'status')
if type(status) ~= 'string' then
  forget_job(id)
  return {'missing'}
end
if redis.call('HGET', KEYS[1], 'attempt') == attempt then
  return {'begun'}  -- the reply was lost
end
if status ~= 'queued' then return {'not_queued', status} end
-- The lease comes first: if a later write fails, the lease expires and the job is requeued
redis.call('ZADD', 'rq:wip:' .. queue, now + asked.lease_s, id .. ':' .. attempt)
redis.call('HSET', KEYS[1], 'status', 'running', 'attempt', attempt, 'started_at', now)
refacet(id, 'status:running')
local attempts = tonumber(redis.call('HGET', KEYS[1], 'attempts')) or 0
redis.call('HSET', KEYS[1], 'attempts', attempts + 1)
redis.call('HSET', 'rq:job:' .. id, 'status', 'started')
if its_turn then advance(tag_of(id)) end
changed(id)
return {'begun'}
