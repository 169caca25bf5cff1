-- Deletes an explanation, or a batch with its explanations: all or none. Each hash is removed at
-- once; `shapshot:expiry` keeps the id until its artifacts are removed.
-- Replies: deleted, the ids that went | under_way, the status that forbids it | held, the id that
-- is held

local asked = cjson.decode(ARGV[1])
local queue, now = asked.queue, read_clock()
local expires_at = now + asked.retention_s

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
  redis.call('SREM', 'shapshot:unsealed', id)
  redis.call('ZREM', 'shapshot:holds', id)
  redis.call('DEL', 'shapshot:explanation:' .. id, 'shapshot:reviews:' .. id)
  redis.call('ZADD', 'shapshot:expiry', 0, id)
  redis.call('PUBLISH', 'shapshot:changes', id)
  conclude_batch(batch ~= asked.id and batch, expires_at)
  unlist_empty(batch)
end

if redis.call('EXISTS', KEYS[1]) == 0 then return {'deleted'} end
local ids = members_of(asked.id)
ids[#ids + 1] = asked.id
for _, id in ipairs(ids) do
  local status = field(id, 'status')
  if status == 'running' or status == 'canceling' then return {'under_way', status} end
  if is_held(id, now) then
    local why = {outcome = 'refused', detail = 'held by ' .. field(id, 'held_by')}
    audit_though_full(asked.audit, now, 'deleted', id, why)
    return {'held', id}
  end
end
for _, id in ipairs(ids) do audit_though_full(asked.audit, now, 'deleted', id) end
for _, id in ipairs(ids) do remove(id) end
table.insert(ids, 1, 'deleted')
return ids
