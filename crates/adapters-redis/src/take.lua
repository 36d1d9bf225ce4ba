-- Takes one request from a token bucket, in one step, by Redis's own clock: no two instances have to agree on the time.
--
-- KEYS[1]  holds the microsecond at which the bucket will be full again; a full bucket has no key
-- ARGV[1]  microseconds that one request costs
-- ARGV[2]  microseconds that an empty bucket is short of
-- Answers whether the request is granted, and how many microseconds the bucket is short of now.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local cost, depth = tonumber(ARGV[1]), tonumber(ARGV[2])

-- pcall: whatever somebody else may have put there is no bucket, and is overwritten by one.
local stored = redis.pcall('GET', KEYS[1])
local missing = (type(stored) == 'string' and tonumber(stored) or now) - now
-- Never more than the bucket holds: the limit may have been lowered, or the clock set back.
local debt = math.max(0, math.min(missing, depth))

local granted = debt + cost <= depth
if granted then
  debt = debt + cost
end
if debt ~= missing then
  redis.call('SET', KEYS[1], string.format('%.0f', now + debt), 'PX', math.max(1, math.ceil(debt / 1000)))
end
return {granted and 1 or 0, debt}
