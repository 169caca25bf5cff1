-- The queue of waiting jobs: its order and its length.
--
-- RQ takes jobs from the head of one list, so the list holds the order. The order is
-- start-time fair queueing (P. Goyal, H. Vin, H. Cheng, "Start-time Fair Queueing", 1996,
-- https://doi.org/10.1145/248157.248171). A flow is the jobs of one owner at one priority. A job
-- costs its flow 1 / weight. Its start tag is the finish of the job before it in its flow, or the
-- virtual time if that is later; the list is sorted by start tags, stored in the explanations'
-- hashes as `tag`. Virtual time is the start tag of the job begun last. So waiting flows share the
-- workers by their weights, regardless of how much each has queued, and none is starved.
--
-- Two counts cover the waiting jobs: their number, and the bytes uploaded for them.

local function field(id, name)
  local value = redis.pcall('HGET', 'shapshot:explanation:' .. id, name)
  return type(value) == 'string' and value  -- false if absent, or if the key is no hash
end

-- Updates the counts of all and of the owner; a count that reaches 0 has no field
local function count_waiting(id, sign)
  local bytes, owner = tonumber(field(id, 'bytes') or 0) or 0, field(id, 'owner')
  local held = 0 + sign * bytes  -- HINCRBY rejects -0
  for _, of in ipairs(owner and {'', ':' .. owner} or {''}) do
    for name, amount in pairs({jobs = sign, bytes = held}) do
      if redis.call('HINCRBY', 'shapshot:waiting', name .. of, amount) <= 0 then
        redis.call('HDEL', 'shapshot:waiting', name .. of)
      end
    end
  end
end

-- Returns how many of the waiting jobs must leave before these fit; 0 or less if there is room. A
-- cap of nil means unlimited.
local function excess(of, jobs, bytes, most_jobs, most_bytes)
  local waiting, held = unpack(redis.call('HMGET', 'shapshot:waiting', 'jobs' .. of, 'bytes' .. of))
  waiting, held = tonumber(waiting or 0), tonumber(held or 0)
  local over = waiting + jobs - (most_jobs or math.huge)
  local over_bytes = held + bytes - (most_bytes or math.huge)
  if held > 0 and over_bytes > 0 then over = math.max(over, over_bytes * waiting / held) end
  return over, waiting
end

local function virtual_time()
  return tonumber(redis.call('GET', 'shapshot:virtual_time') or 0)
end

local function start_tag(flow, cost)
  local tag = math.max(virtual_time(), redis.call('ZSCORE', 'shapshot:flows', flow) or 0)
  redis.call('ZADD', 'shapshot:flows', tag + cost, flow)
  return tag
end

local function tag_of(id)
  return tonumber(field(id, 'tag') or 0) or 0
end

-- Inserts behind all jobs with the same or a smaller tag; foreign entries count as tag 0
local function insert(id, list, tag)
  local low, high = 0, redis.call('LLEN', list)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local before = tag_of(redis.call('LINDEX', list, middle)) <= tag
    if before then low = middle + 1 else high = middle end
  end
  local following = redis.call('LINDEX', list, low)
  if following then
    redis.call('LINSERT', list, 'BEFORE', following, id)
  else
    redis.call('RPUSH', list, id)
  end
end

-- Enqueues a job at the place of its start tag
local function enter(id, queue, flow, cost)
  local tag = start_tag(flow, cost)
  redis.call('HSET', 'shapshot:explanation:' .. id, 'tag', tag, 'flow', flow, 'cost', cost)
  insert(id, 'rq:queue:' .. queue, tag)
  count_waiting(id, 1)
end

-- Enqueues a job at the front
local function enter_first(id, queue)
  redis.call('HSET', 'shapshot:explanation:' .. id, 'tag', 0)
  redis.call('LPUSH', 'rq:queue:' .. queue, id)
  if field(id, 'status') ~= 'queued' then count_waiting(id, 1) end
end

local function swap(list, place, id, other_place, other)
  local tag, other_tag = tag_of(id), tag_of(other)
  redis.call('LSET', list, place - 1, other)
  redis.call('LSET', list, other_place - 1, id)
  redis.call('HSET', 'shapshot:explanation:' .. other, 'tag', tag)
  redis.call('HSET', 'shapshot:explanation:' .. id, 'tag', other_tag)
end

-- Removes a job from any place in the queue; returns whether a worker had taken it from the head
local function leave(id, queue)
  local list = 'rq:queue:' .. queue
  redis.call('LREM', list, 0, id)
  redis.call('ZREM', 'shapshot:limbo', id)
  if field(id, 'status') == 'queued' then count_waiting(id, -1) end
  return redis.call('LREM', list .. ':intermediate', 0, id) > 0
end

-- Refunds the cost of a job that leaves before its turn: each later job of its flow moves up to the
-- place and the tag of the one before. A job that was begun once and requeued stays charged.
local function refund(id, queue)
  redis.call('ZREM', 'shapshot:limbo', id)  -- first: a full Redis accepts writes after a removal
  local list, flow, place = 'rq:queue:' .. queue, field(id, 'flow'), nil
  if not flow or field(id, 'started_at') then return end
  for at, other in ipairs(redis.call('LRANGE', list, 0, -1)) do
    if other == id then
      place = at
    elseif place and field(other, 'flow') == flow then
      swap(list, place, id, at, other)
      place = at
    end
  end
  if place and redis.call('ZSCORE', 'shapshot:flows', flow) then
    redis.call('ZINCRBY', 'shapshot:flows', -(tonumber(field(id, 'cost') or 0) or 0), flow)
  end
end

-- Advances virtual time to the tag of a job that begins; drops flows that are not ahead of it
local function advance(tag)
  local now = math.max(virtual_time(), tag)
  redis.call('SET', 'shapshot:virtual_time', now)
  redis.call('ZREMRANGEBYSCORE', 'shapshot:flows', '-inf', now)
end
