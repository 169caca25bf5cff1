-- Indexes an explanation by facets that were read from its hash, and its batch.
-- Replies: reindexed | changed, where the hash has another version or is not listed

local asked = cjson.decode(ARGV[1])
local id = asked.id
local at = redis.call('ZSCORE', 'shapshot:explanations', id)
if not at or redis.call('HGET', KEYS[1], 'version') ~= asked.version then return {'changed'} end
unindex(id)
redis.call('HSET', KEYS[1], 'facets', asked.facets)
index(id, at)
local batch = field(id, 'batch')
if batch and field(batch, 'members') then index(batch, field(batch, 'created_at')) end
return {'reindexed'}
