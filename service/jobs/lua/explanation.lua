-- Shared steps of every transition, and the two ways a job leaves a worker: conclude and put_back.

-- fields: an object of strings
local function set_fields(key, fields)
  local flat = {}
  for name, value in pairs(fields) do
    flat[#flat + 1], flat[#flat + 2] = name, value
  end
  redis.call('HSET', key, unpack(flat))
end

-- pcall, here and below: foreign data in these keys must not stop a worker
local function changed(id)
  redis.pcall('HINCRBY', 'shapshot:explanation:' .. id, 'version', 1)
  redis.call('PUBLISH', 'shapshot:changes', id)
end

-- Returns the explanations of a batch that have not expired: the listed ids that name the batch and
-- have its owner. Explanations of another owner never belong to it, even if its hash lists them.
local function members_of(batch)
  local members = {}
  for id in string.gmatch(field(batch, 'members') or '', '%S+') do
    local own = field(id, 'batch') == batch and field(id, 'owner') == field(batch, 'owner')
    if own then members[#members + 1] = id end
  end
  return members
end

-- Lets the batch, if any, expire at `expires_at` once all of its explanations are finished, and not
-- while one of them is held
local function conclude_batch(batch, expires_at)
  if not (batch and field(batch, 'members')) then return end
  local members = members_of(batch)
  for _, id in ipairs(members) do
    local status = field(id, 'status')
    if status == 'queued' or status == 'running' or status == 'canceling' then return end
    if field(id, 'held_by') then expires_at = '+inf' end
  end
  redis.call('ZADD', 'shapshot:expiry', expires_at, batch)
  local first = #members > 0 and
    redis.call('HSETNX', 'shapshot:explanation:' .. batch, 'finished', 1) == 1
  if first then notify('batch.finished', batch) end
end

-- Removes a batch, if any, from the lists of batches once all of its explanations are gone
local function unlist_empty(batch)
  if not (batch and field(batch, 'members')) then return end
  if #members_of(batch) == 0 then unindex(batch) end
end

local function count_end(key, status)
  local method = redis.call('HGET', key, 'method')
  if method then count('jobs:' .. status .. ':' .. method, 1) end
  local failure = status == 'failed' and redis.call('HGET', key, 'error')
  if failure then count('failures:' .. cjson.decode(failure).code, 1) end
end

-- Caches the first result of a request for identical requests, until it expires
local function offer_to_others(id, expires_at)
  local key = field(id, 'cache')
  if not key then return end
  local first = redis.call('GET', 'shapshot:cache:' .. key) or ''
  local same = field(first, 'cache') == key and field(first, 'owner') == field(id, 'owner')
  if same and field(first, 'status') == 'succeeded' then return end
  redis.call('SET', 'shapshot:cache:' .. key, id)
  redis.call('EXPIREAT', 'shapshot:cache:' .. key, math.floor(expires_at))
end

local function offer_no_more(id)
  local key = 'shapshot:cache:' .. (field(id, 'cache') or '')
  if redis.call('GET', key) == id then redis.call('DEL', key) end
end

local function forget_job(id)
  redis.call('DEL', 'rq:job:' .. id)
end

-- Removes the preview of an attempt that has ended
local function forget_preview(id)
  redis.call('HDEL', 'shapshot:explanation:' .. id, 'preview')
  redis.call('DEL', 'shapshot:preview:' .. id)
end

-- Whether somebody holds it against expiry and deletion
local function is_held(id, now)
  local ends = tonumber(field(id, 'held_until') or math.huge)
  return field(id, 'held_by') and (not ends or ends > now)
end

-- Lets an explanation expire in so many seconds; one that is held, so long after its release
local function keep_for(id, now, seconds)
  local key, expires_at = 'shapshot:explanation:' .. id, now + seconds
  if field(id, 'held_by') then
    redis.call('HSET', key, 'expires_in', seconds)
    expires_at = '+inf'
  else
    redis.call('HSET', key, 'expires_at', expires_at)
  end
  redis.call('ZADD', 'shapshot:expiry', expires_at, id)
end

-- Returns how long to keep it after its end: what its request or key says, else the default
local function retention_of(id, default)
  return tonumber(field(id, 'retention_s')) or default
end

-- grace: seconds that it is kept at least from now on
local function end_hold(id, now, grace)
  local key, left = 'shapshot:explanation:' .. id, tonumber(field(id, 'expires_in'))
  redis.call('ZREM', 'shapshot:holds', id)
  redis.call('HDEL', key, 'held_by', 'held_at', 'held_for', 'held_until', 'expires_in')
  refacet(id, 'held:')
  if left then
    keep_for(id, now, math.max(left, grace))
    conclude_batch(field(id, 'batch'), now + math.max(left, grace))
  end
  changed(id)
end

-- retention: seconds to keep it; scores, which have no artifacts, say so themselves
local function conclude(id, status, now, retention)
  local keep_s = tonumber(field(id, 'keep_s'))
  local key = 'shapshot:explanation:' .. id
  redis.call('HSET', key, 'status', status, 'finished_at', now)
  redis.call('HDEL', key, 'attempt', 'cancel')
  forget_preview(id)
  refacet(id, 'status:' .. status)
  if keep_s then
    redis.call('HSET', key, 'expires_at', now + keep_s)
    redis.pcall('EXPIRE', key, keep_s)
  else
    keep_for(id, now, retention_of(id, retention))
  end
  forget_job(id)
  count_end(key, status)
  changed(id)
  notify('explanation.' .. status, id)
  conclude_batch(redis.call('HGET', key, 'batch'), now + retention)
end

local function put_back(id, queue)
  local key = 'shapshot:explanation:' .. id
  enter_first(id, queue)
  redis.call('HSET', key, 'status', 'queued')
  redis.call('HDEL', key, 'attempt')
  forget_preview(id)
  refacet(id, 'status:queued')
  redis.call('HSET', 'rq:job:' .. id, 'status', 'queued')
  changed(id)
end
