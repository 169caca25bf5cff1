-- ARGV: id, queue, attempt, now, expires_at, status, outcome or '', error or '', progress or '',
-- then what to add to the totals, as field-value pairs

local id, attempt = ARGV[1], ARGV[3]
redis.call('ZREM', 'rq:wip:' .. ARGV[2], id .. ':' .. attempt)
if field(id, 'ended') == attempt then return 'finished' end  -- the answer got lost
if redis.call('HGET', KEYS[1], 'attempt') ~= attempt then return 'fenced' end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'outcome', ARGV[7], 'result', attempt) end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'error', ARGV[8]) end
if ARGV[9] ~= '' then redis.call('HSET', KEYS[1], 'progress', ARGV[9]) end
for i = 10, #ARGV, 2 do count(ARGV[i], ARGV[i + 1]) end
conclude(id, ARGV[6], ARGV[4], ARGV[5])
redis.call('HSET', KEYS[1], 'ended', attempt)
note_end(tonumber(ARGV[4]))
if ARGV[6] == 'succeeded' then offer_to_others(id, ARGV[5]) end
return 'finished'
