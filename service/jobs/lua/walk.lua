-- Walks the members that all of some sorted sets of the index have, in the order of creation, from
-- a place on. Stops after so many look-ups, so that it is brief. Only reads.
-- Replies: walked, how many members it found, 1 where there may be more, the place where it
-- stopped, as score and member; then, up to `limit`, the score and the name of each it found

local asked = cjson.decode(ARGV[1])
local newest, place, limit = asked.newest, asked.place, asked.limit
local since = asked.since or '-inf'
local before = asked.before and '(' .. asked.before or '+inf'

local sets, size = {}, {}
for at, set in ipairs(asked.sets) do
  sets[at], size[set] = set, redis.call('ZCOUNT', set, since, before)
end
table.sort(sets, function(one, other) return size[one] < size[other] end)
local smallest = table.remove(sets, 1)
if not limit and #sets == 0 then return {'walked', size[smallest], 0, '', ''} end

-- Returns how many members of the smallest set stand before the place, itself included if asked.
-- Members of one score stand in the order of their names.
local function count_before(inclusive)
  local low = redis.call('ZCOUNT', smallest, '-inf', '(' .. place.score)
  local high = low + redis.call('ZCOUNT', smallest, place.score, place.score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = redis.call('ZRANGE', smallest, middle, middle)[1]
    local is_before = member < place.member or (inclusive and member == place.member)
    if is_before then low = middle + 1 else high = middle end
  end
  return low
end

local first = redis.call('ZCOUNT', smallest, '-inf', '(' .. since)
local last = first + size[smallest] - 1
if place and newest then last = math.min(last, count_before(false) - 1) end
if place and not newest then first = math.max(first, count_before(true)) end
if first > last then return {'walked', 0, 0, '', ''} end

local from = newest and math.max(first, last - asked.lookups + 1) or first
local entries = redis.call('ZRANGE', smallest, from, from + asked.lookups - 1, 'WITHSCORES')
local held = math.min(#entries / 2, last - from + 1)
local reply, found, lookups, walked = {'walked'}, 0, 0, 0
local score, member

local function is_in_all()
  for _, set in ipairs(sets) do
    lookups = lookups + 1
    if not redis.call('ZSCORE', set, member) then return false end
  end
  return true
end

while walked < held and lookups < asked.lookups and found ~= limit do
  walked = walked + 1
  local at = 2 * (newest and held - walked + 1 or walked)
  member, score = entries[at - 1], entries[at]
  if is_in_all() then
    found = found + 1
    if limit then
      reply[2 * found + 4], reply[2 * found + 5] = score, member
    end
  end
end
reply[2], reply[3] = found, walked < last - first + 1 and 1 or 0
reply[4], reply[5] = score, member
return reply
