-- Ids whose artefacts may go.
-- ARGV: how many at most

return redis.call('ZRANGEBYSCORE', 'shapshot:expiry', 0, read_clock(), 'LIMIT', 0, ARGV[1])
