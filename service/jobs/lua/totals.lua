-- Adds to the totals: see statistics.py
local function count(total, by)
  redis.pcall('HINCRBYFLOAT', 'shapshot:totals', total, by)
end
