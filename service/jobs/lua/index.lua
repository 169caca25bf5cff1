-- The index of the lists: sorted sets of ids by the time of creation. An explanation is in the set
-- of all, in that of its owner, and in one for each word of its field `facets`: see facets.py. A
-- batch is in the set of all batches, and in that of its owner.
--
-- pcall: foreign data in these sets must not stop a worker

local function sets_of(id)
  if field(id, 'keep_s') then return {} end  -- scores are not listed
  local owner, sets = field(id, 'owner'), {}
  if field(id, 'members') then
    sets[1] = 'shapshot:batches'
    if owner then sets[2] = 'shapshot:batches:' .. owner end
  else
    sets[1] = 'shapshot:explanations'
    if owner then sets[2] = 'shapshot:explanations:' .. owner end
  end
  for facet in string.gmatch(field(id, 'facets') or '', '%S+') do
    sets[#sets + 1] = 'shapshot:index:' .. facet
  end
  return sets
end

local function index(id, at)
  for _, set in ipairs(sets_of(id)) do redis.pcall('ZADD', set, at, id) end
end

local function unindex(id)
  for _, set in ipairs(sets_of(id)) do redis.pcall('ZREM', set, id) end
end

-- Replaces the facets that `words` names, and keeps the others; `held:` only removes the facet. An
-- explanation of an older version has none: see reindex.lua.
local function refacet(id, words)
  local at, before = redis.pcall('ZSCORE', 'shapshot:explanations', id), field(id, 'facets')
  if type(at) ~= 'string' or not before then return end
  local replaced, facets = {}, {}
  for name in string.gmatch(words, '(%w+):') do replaced[name] = true end
  for facet, name in string.gmatch(before, '((%w+):%S+)') do
    if replaced[name] then
      redis.pcall('ZREM', 'shapshot:index:' .. facet, id)
    else
      facets[#facets + 1] = facet
    end
  end
  for facet in string.gmatch(words, '%w+:%S+') do
    redis.pcall('ZADD', 'shapshot:index:' .. facet, at, id)
    facets[#facets + 1] = facet
  end
  redis.call('HSET', 'shapshot:explanation:' .. id, 'facets', table.concat(facets, ' '))
end
