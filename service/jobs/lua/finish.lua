-- Finishes an explanation, if the attempt still owns it.
-- Replies: finished | fenced

local asked = cjson.decode(ARGV[1])
local id, attempt = asked.id, asked.attempt
redis.call('ZREM', 'rq:wip:' .. asked.queue, id .. ':' .. attempt)
if field(id, 'ended') == attempt then return {'finished'} end  -- the reply was lost
if redis.call('HGET', KEYS[1], 'attempt') ~= attempt then return {'fenced'} end
if asked.outcome then redis.call('HSET', KEYS[1], 'outcome', asked.outcome, 'result', attempt) end
if asked.facets then refacet(id, asked.facets) end
if asked.artifacts then redis.call('HSET', KEYS[1], 'artefacts', asked.artifacts) end
if asked.answer then redis.call('HSET', KEYS[1], 'answer', asked.answer) end
if asked.error then redis.call('HSET', KEYS[1], 'error', asked.error) end
if asked.progress then redis.call('HSET', KEYS[1], 'progress', asked.progress) end
for name, amount in pairs(asked.work) do count(name, amount) end
local now = read_clock()
conclude(id, asked.status, now, asked.retention_s)
redis.call('HSET', KEYS[1], 'ended', attempt)
note_end(now)
if asked.outcome then redis.call('SADD', 'shapshot:unsealed', id) end
if asked.status == 'succeeded' then
  offer_to_others(id, now + retention_of(id, asked.retention_s))
end
return {'finished'}
