-- Removes an explanation from the cache, because artifacts are missing.
-- Replies: withdrawn

local asked = cjson.decode(ARGV[1])
offer_no_more(asked.id)
return {'withdrawn'}
