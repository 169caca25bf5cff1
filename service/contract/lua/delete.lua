-- An explanation, or a batch with all of its own: all go or none. Each hash goes at once;
-- `shapshot:expiry` keeps the id until its artefacts are gone as well.
-- Answers the ids that went, or the status of one that forbids it.
-- ARGV: id, queue, seconds to keep a batch that loses its last that was under way

local queue, expires_at = ARGV[2], read_clock() + ARGV[3]

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
  conclude_batch(batch, expires_at)
end

if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
local ids = members_of(ARGV[1])
ids[#ids + 1] = ARGV[1]
for _, id in ipairs(ids) do
  local status = field(id, 'status')
  if status == 'running' or status == 'canceling' then return status end
end
for _, id in ipairs(ids) do remove(id) end
return ids
