-- Webhooks: an event queues a delivery for each webhook that wants it, in the step that makes it
-- happen. `shapshot:subscriptions:OWNER` has the webhooks of an owner, each with the events that it
-- wants as words; `shapshot:subscriptions` those that want the events of all owners.

local MAX_PENDING = 50000  -- deliveries of a webhook; it misses events beyond them
local KEPT_S = 30 * 86400  -- a delivery

-- Lets the deliverers look at a webhook when its next delivery is due
local function schedule(webhook)
  local first = redis.call('ZRANGE', 'shapshot:deliveries:' .. webhook, 0, 0, 'WITHSCORES')
  if first[1] and redis.call('HEXISTS', 'shapshot:webhook:' .. webhook, 'disabled_at') == 0 then
    redis.call('ZADD', 'shapshot:deliveries', first[2], webhook)
  else
    redis.call('ZREM', 'shapshot:deliveries', webhook)
  end
end

-- Queues a delivery once. fields: what to tell, beside its type
local function queue_delivery(webhook, delivery, type, fields)
  local pending, key = 'shapshot:deliveries:' .. webhook, 'shapshot:delivery:' .. delivery
  if redis.call('EXISTS', key) == 1 then return end
  if redis.call('ZCARD', pending) >= MAX_PENDING then
    redis.call('HINCRBY', 'shapshot:webhook:' .. webhook, 'missed', 1)
    count('deliveries:missed', 1)
    return
  end
  local now = read_clock()
  fields.webhook, fields.type, fields.status = webhook, type, 'pending'
  for name, value in pairs(fields) do redis.call('HSET', key, name, value) end
  redis.call('HSET', key, 'created_at', now)
  redis.call('EXPIRE', key, KEPT_S)
  redis.call('ZADD', pending, now, delivery)
  schedule(webhook)
end

local function describe(id, status)
  local counts = {}
  for member in string.gmatch(field(id, 'members') or '', '%S+') do
    local of = field(member, 'batch') == id and field(member, 'status')
    if of then counts[of] = (counts[of] or 0) + 1 end
  end
  local fields = {subject = id, subject_status = status or field(id, 'status') or 'done'}
  fields.counts = next(counts) and cjson.encode(counts)
  for _, name in ipairs({'owner', 'batch', 'order', 'result'}) do
    fields[name] = field(id, name) or nil
  end
  return fields
end

local function queue_deliveries(type, id, status)
  local own = 'shapshot:subscriptions:' .. (field(id, 'owner') or '')
  for _, subscriptions in ipairs({'shapshot:subscriptions', own}) do
    local found = redis.call('HGETALL', subscriptions)
    for at = 1, #found, 2 do
      if string.find(found[at + 1], ' ' .. type .. ' ', 1, true) then
        local digest = redis.sha1hex(id .. ' ' .. type .. ' ' .. found[at])
        local delivery = 'msg_' .. string.sub(digest, 1, 32)
        queue_delivery(found[at], delivery, type, describe(id, status))
      end
    end
  end
end

-- Tells of an event of an explanation or batch. pcall: foreign data must not stop a worker
local function notify(type, id, status)
  if not field(id, 'keep_s') then pcall(queue_deliveries, type, id, status) end
end

-- Wants the events (words between spaces), or none at all where they are nil
local function subscribe(webhook, events)
  local key = 'shapshot:webhook:' .. webhook
  local owner, everyone = unpack(redis.call('HMGET', key, 'owner', 'everyone'))
  local own = 'shapshot:subscriptions:' .. (owner or '')
  local subscriptions = everyone == '1' and 'shapshot:subscriptions' or own
  if events then
    redis.call('HSET', subscriptions, webhook, events)
  else
    redis.call('HDEL', subscriptions, webhook)
  end
end

local function disable(webhook, reason, now)
  redis.call('HSET', 'shapshot:webhook:' .. webhook, 'disabled_at', now, 'disabled_for', reason)
  redis.call('HINCRBY', 'shapshot:webhook:' .. webhook, 'version', 1)
  subscribe(webhook, nil)
  schedule(webhook)
end
