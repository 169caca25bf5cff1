-- ARGV: id, queue, attempt, seconds to keep it, status, outcome or '', artefacts or '',
-- error or '', progress or '', then what to add to the totals, as field-value pairs

local id, attempt, status = ARGV[1], ARGV[3], ARGV[5]
redis.call('ZREM', 'rq:wip:' .. ARGV[2], id .. ':' .. attempt)
if field(id, 'ended') == attempt then return 'finished' end  -- the answer got lost
if redis.call('HGET', KEYS[1], 'attempt') ~= attempt then return 'fenced' end
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'outcome', ARGV[6], 'result', attempt) end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'artefacts', ARGV[7]) end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'error', ARGV[8]) end
if ARGV[9] ~= '' then redis.call('HSET', KEYS[1], 'progress', ARGV[9]) end
for i = 10, #ARGV, 2 do count(ARGV[i], ARGV[i + 1]) end
local now = read_clock()
conclude(id, status, now, ARGV[4])
redis.call('HSET', KEYS[1], 'ended', attempt)
note_end(now)
if status == 'succeeded' then offer_to_others(id, now + ARGV[4]) end
return 'finished'
