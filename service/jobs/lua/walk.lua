-- Walks the members that several sorted sets of the index have in common, in order of creation,
-- from a place on. Stops after a limited number of look-ups, so that it is brief. Only reads.
-- Replies: walked, the number of members found, 1 if there may be more; if it looked any up, the
-- place where it stopped, as score and member; then, up to `limit`, score and name of each found

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
if not limit and #sets == 0 then return {'walked', size[smallest], 0} end

-- Counts the members of the smallest set before the place, with the place itself if `inclusive`.
-- Members with the same score are sorted by name.
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
if first > last then return {'walked', 0, 0} end

-- Returns those of some members that all of the other sets have
local lookups = 0
local function common(members)
  for _, set in ipairs(sets) do
    if #members == 0 then return members end
    local scores, kept = redis.call('ZMSCORE', set, unpack(members)), {}
    for at, member in ipairs(members) do
      if scores[at] then kept[#kept + 1] = member end
    end
    lookups = lookups + #members
    members = kept
  end
  return members
end

local size_of_chunk = math.min(asked.lookups, 100)
local held = redis.call('ZCARD', smallest)
local reply, found = {'walked'}, 0
local chunk, member
repeat
  local taken = math.min(size_of_chunk, last - first + 1)
  if newest then
    chunk = redis.call('ZREVRANGE', smallest, held - 1 - last, held - 2 - last + taken)
    last = last - taken
  else
    chunk = redis.call('ZRANGE', smallest, first, first + taken - 1)
    first = first + taken
  end
  member = chunk[taken]
  for _, each in ipairs(common(chunk)) do
    found = found + 1
    if limit then
      reply[2 * found + 4] = redis.call('ZSCORE', smallest, each)
      reply[2 * found + 5] = each
    end
    if found == limit then
      member = each
      break
    end
  end
until found == limit or first > last or lookups >= asked.lookups
reply[2] = found
reply[3] = (first <= last or member ~= chunk[#chunk]) and 1 or 0
reply[4], reply[5] = redis.call('ZSCORE', smallest, member), member
return reply
