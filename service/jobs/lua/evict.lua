-- Its artefacts have vanished: it stands for no other request any more.
-- Replies: withdrawn

local asked = cjson.decode(ARGV[1])
offer_no_more(asked.id)
return {'withdrawn'}
