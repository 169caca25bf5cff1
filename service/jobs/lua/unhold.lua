-- Ends the hold of an explanation.
-- Replies: released | free, if nobody holds it | taken, if somebody else does

local asked = cjson.decode(ARGV[1])
local now, holder = read_clock(), field(asked.id, 'held_by')
if not holder then return {'free'} end
if is_held(asked.id, now) and holder ~= asked.by and not asked.replaces then return {'taken'} end
audit_though_full(asked.audit, now, 'released', asked.id, {detail = 'held by ' .. holder})
end_hold(asked.id, now, asked.grace_s)
return {'released'}
