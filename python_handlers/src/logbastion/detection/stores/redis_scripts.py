"""What runs inside Redis, each script as one step for all clients.

Times are whole microseconds, which a Lua number holds exactly until the year 2255; ``%.0f`` writes them without an
exponent. The clock is that of the server unless the first argument names a time, so that hosts whose clocks differ
still share one window.
"""

from typing import Final

_NOW: Final = """
local now
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
else
  now = tonumber(ARGV[1])
end
local function whole(number) return string.format('%.0f', number) end
"""

# KEYS: the index of subjects, then one per observation. ARGV: time, most subjects, then per observation its member,
# window, threshold, cooldown and cap.
RECORD: Final = (
    _NOW
    + """
local answer = {}
for i = 2, #KEYS do
  local key, at = KEYS[i], 3 + (i - 2) * 5
  local window, threshold = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local cooldown, cap = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now - window))
  redis.call('ZADD', key, whole(now), ARGV[at])
  redis.call('ZREMRANGEBYRANK', key, 0, -(cap + 1))
  redis.call('PEXPIRE', key, whole(math.ceil(window / 1000)))
  redis.call('ZADD', KEYS[1], whole(now), key)
  local count, alert, members = redis.call('ZCARD', key), 0, {}
  if count >= threshold then
    local quiet = key .. ':quiet'
    if now >= tonumber(redis.call('GET', quiet) or '0') then
      redis.call('SET', quiet, whole(now + cooldown), 'PX', whole(math.ceil(cooldown / 1000)))
      alert, members = 1, redis.call('ZREVRANGE', key, 0, 49)
    end
  end
  answer[i - 1] = {count, alert, members}
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', whole(now - 86400000000))
local extra = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if extra > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[1], extra)
  for i = 1, #oldest, 2 do redis.call('UNLINK', oldest[i], oldest[i] .. ':quiet') end
end
redis.call('PEXPIRE', KEYS[1], 86400000)
return answer
"""
)

_BLOCK: Final = """
local function block(key, new)
  local found = redis.call('HMGET', key, 'since', 'until', 'number', 'reason', 'dry_run')
  if not found[1] then return nil end
  return {found[1], found[2], found[3], found[4], found[5], whole(now), new}
end
"""

# KEYS: the block, the index of blocks. ARGV: time, network, seconds, growth, most seconds, memory, reason, dry run,
# most blocks, prefix of a block's key.
ADD_BLOCK: Final = (
    _NOW
    + _BLOCK
    + """
local known = redis.call('HMGET', KEYS[1], 'until', 'dry_run', 'number', 'forget')
if known[4] and tonumber(known[4]) <= now then known = {} end
if known[1] and tonumber(known[1]) > now and (ARGV[8] == '1' or known[2] == '0') then return block(KEYS[1], 0) end
local number = (tonumber(known[3]) or 0) + 1
local length = math.min(tonumber(ARGV[3]) * tonumber(ARGV[4]) ^ math.min(number - 1, 64), tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'since', whole(now), 'until', whole(now + length), 'number', number,
  'reason', ARGV[7], 'dry_run', ARGV[8], 'forget', whole(now + length + tonumber(ARGV[6])))
redis.call('PEXPIRE', KEYS[1], whole(math.ceil((length + tonumber(ARGV[6])) / 1000)))
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now))
redis.call('ZADD', KEYS[2], whole(now + length), ARGV[2])
local extra = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[9])
if extra > 0 then
  local first = redis.call('ZPOPMIN', KEYS[2], extra)
  for i = 1, #first, 2 do redis.call('UNLINK', ARGV[10] .. first[i]) end
end
return block(KEYS[1], 1)
"""
)

# KEYS: the block. ARGV: time.
FIND_BLOCK: Final = _NOW + _BLOCK + "return block(KEYS[1], 0)"

# KEYS: the block, the index of blocks. ARGV: time, network.
REMOVE_BLOCK: Final = (
    _NOW
    + _BLOCK
    + """
local found = block(KEYS[1], 0)
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return found
"""
)

# KEYS: the index of blocks. ARGV: time, how many.
LIST_BLOCKS: Final = (
    _NOW + "return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. whole(now), '+inf', 'LIMIT', 0, ARGV[2])"
)
