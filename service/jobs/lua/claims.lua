-- Claims of Idempotency-Keys; see claims.py.

local function is_claimed(claim)
  return claim ~= nil and redis.call('EXISTS', claim.key) == 1
end

local function write_claim(claim)
  if claim then redis.call('SET', claim.key, claim.text, 'EX', claim.seconds) end
end
