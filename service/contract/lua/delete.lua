-- Several go all or none. Each hash goes at once; `shapshot:expiry` keeps the id until its
-- artefacts are gone as well.
-- ARGV: queue, expires_at of a batch that loses one, ids

local queue, answer = ARGV[1], 'missing'

local function remove(id)
  local batch = redis.call('HGET', 'shapshot:explanation:' .. id, 'batch')
  if field(id, 'status') == 'queued' then
    refund(id, queue)
    count_end('shapshot:explanation:' .. id, 'deleted')
  end
  leave(id, queue)
  forget_job(id)
  offer_no_more(id)
  unindex(id)
  redis.call('DEL', 'shapshot:explanation:' .. id)
  redis.call('ZADD', 'shapshot:expiry', 0, id)
  redis.call('PUBLISH', 'shapshot:changes', id)
  conclude_batch(batch, ARGV[2])
end

for i = 3, #ARGV do
  local status = redis.call('HGET', 'shapshot:explanation:' .. ARGV[i], 'status')
  if status == 'running' or status == 'canceling' then return status end
end

for i = 3, #ARGV do
  if redis.call('EXISTS', 'shapshot:explanation:' .. ARGV[i]) == 1 then
    remove(ARGV[i])
    answer = 'deleted'
  end
end

return answer
