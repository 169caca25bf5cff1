-- Records an explanation, or a batch with all of its explanations, and queues their jobs. An
-- explanation that already has its result gets no job; neither does the batch itself.
-- Replies: accepted | claimed, if the claim was made before | refused, the cap that is reached
-- (server or owner) and the estimated seconds until there is room, if known

local asked = cjson.decode(ARGV[1])
local caps, claim, owner = asked.caps, asked.claim, asked.owner
local now = read_clock()
local expires_at = now + asked.retention_s

local first = asked.explanations[1].id
if redis.call('EXISTS', KEYS[1]) == 1 then
  local status = field(first, 'status')
  local failed = field(first, 'keep_s') and (status == 'failed' or status == 'canceled')
  if not failed then return {'accepted'} end  -- the reply got lost, or such scores are there
  redis.call('DEL', KEYS[1])
end
if is_claimed(claim) then return {'claimed'} end

local over, waiting = excess('', asked.jobs, asked.bytes, caps.jobs, caps.bytes)
if asked.jobs > 0 and over > 0 then return {'refused', 'server', estimate_wait(over, now)} end
if asked.jobs > 0 and owner then
  local own_over, own =
    excess(':' .. owner, asked.jobs, asked.bytes, caps.owner_jobs, caps.owner_bytes)
  if own_over > 0 then
    return {'refused', 'owner', estimate_wait(own_over * waiting / math.max(own, 1), now)}
  end
end

write_claim(claim)
if waiting == 0 then watch_ends(now) end
redis.call('SADD', 'rq:queues', 'rq:queue:' .. asked.queue)

local function record(id, fields)
  set_fields('shapshot:explanation:' .. id, fields)
  redis.call('HSET', 'shapshot:explanation:' .. id, 'created_at', now)
  redis.call('ZREM', 'shapshot:expiry', id)  -- end its reservation
end

-- first: where the log cannot be written, nothing is accepted
for _, explanation in ipairs(asked.explanations) do
  if not explanation.record.keep_s then
    audit(asked.audit, now, 'asked', explanation.id, {what = explanation.record.method,
      owner = owner, detail = asked.batch and asked.batch.id})
  end
end
if asked.batch then
  record(asked.batch.id, asked.batch.record)
  index(asked.batch.id, now)
  changed(asked.batch.id)
end
for _, explanation in ipairs(asked.explanations) do
  local id = explanation.id
  record(id, explanation.record)
  index(id, now)
  if explanation.job then
    set_fields('rq:job:' .. id, explanation.job)
    enter(id, asked.queue, asked.flow, asked.cost)
    count('accepted:' .. field(id, 'method'), 1)
    if field(id, 'cache') then count('cache_misses', 1) end
  else
    local key = 'shapshot:explanation:' .. id
    redis.call('HSET', key, 'finished_at', now)
    keep_for(id, now, retention_of(id, asked.retention_s))
    redis.call('SADD', 'shapshot:unsealed', id)
    count('cache_hits', 1)
    notify('explanation.succeeded', id)
  end
  changed(id)
end
if asked.batch then conclude_batch(asked.batch.id, expires_at) end
return {'accepted'}
