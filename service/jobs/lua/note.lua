-- Appends entries to the audit log about what changes nothing else.
-- Replies: noted

local asked = cjson.decode(ARGV[1])
local now = read_clock()
for _, each in ipairs(asked.entries) do
  audit_though_full(asked.audit, now, each.action, each.explanation, each)
end
return {'noted'}
