-- The audit log: a stream to which the script that changes something appends in the same step. See
-- audit.py.

-- by: actor, request and address, where they are known; nil: the log is off. All entries have the
-- same fields, as Redis then keeps their names once.
local function audit(by, now, action, id, more)
  if not by then return end
  more = more or {}
  local owner = more.owner or (id and field(id, 'owner')) or ''
  redis.call('XADD', 'shapshot:audit', '*', 'at', string.format('%.6f', now), 'action', action,
    'actor', by.actor or '', 'explanation', id or '', 'owner', owner,
    'what', more.what or '', 'outcome', more.outcome or 'done', 'detail', more.detail or '',
    'request', by.request or '', 'address', by.address or '')
end

-- A Redis that is full accepts writes of a script after a removal: so what frees memory is
-- recorded, too, before it is done
local function audit_though_full(by, now, action, id, more)
  if by then redis.call('ZREM', 'shapshot:limbo', '') end
  audit(by, now, action, id, more)
end
