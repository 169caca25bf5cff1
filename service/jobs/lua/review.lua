-- Appends a review of an explanation to the chain, and notes it with the explanation.
-- Replies: reviewed | claimed, if the claim was made before | moved, if another statement or review
-- came first | gone, if it has no record

local asked = cjson.decode(ARGV[1])
local id = asked.id
local reviews = 'shapshot:reviews:' .. id
if not field(id, 'record') or field(id, 'status') == 'expired' then return {'gone'} end
if redis.call('LINDEX', reviews, -1) == asked.reference then
  return {'reviewed'}  -- the reply was lost
end
if is_claimed(asked.claim) then return {'claimed'} end
local is_next = redis.call('LLEN', reviews) == asked.number - 1
if redis.call('LLEN', 'shapshot:records') ~= asked.sequence or not is_next then return {'moved'} end
audit(asked.audit, read_clock(), 'reviewed', id, {what = asked.verdict})
write_claim(asked.claim)
redis.call('RPUSH', 'shapshot:records', asked.entry)
redis.call('RPUSH', reviews, asked.reference)
redis.call('HSET', KEYS[1], 'review', asked.review)
refacet(id, asked.facets)
changed(id)
return {'reviewed'}
