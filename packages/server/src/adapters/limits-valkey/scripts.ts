import { arrearsBurstsMax } from '@postern/core/quota';

/**
 * What Valkey runs for us, each script in one step that nothing comes between. Time is the server's, so that gateways whose clocks differ agree. A
 * rate is `backlog:atMs`, the state of GCRA as in `core/quota`, kept for as long as it says something; a slot is a member of a sorted set, scored
 * with the moment at which it lapses. All numbers stay below 2⁵³, where a Lua number is exact.
 */
const preamble = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function most_owed(period, burst)
  return burst * period * ${arrearsBurstsMax}
end
local function drained(key, units, period, burst)
  local raw = redis.call('GET', key)
  if not raw then return 0 end
  local sep = string.find(raw, ':', 1, true)
  local backlog = tonumber(string.sub(raw, 1, sep - 1))
  local elapsed = math.max(0, now - tonumber(string.sub(raw, sep + 1)))
  return math.max(0, math.min(backlog, most_owed(period, burst)) - elapsed * units)
end
local function keep(key, backlog, units)
  if backlog <= 0 then
    redis.call('DEL', key)
    return
  end
  local ttl = string.format('%.0f', math.ceil(backlog / units) + 1000)
  redis.call('SET', key, string.format('%.0f:%.0f', backlog, now), 'PX', ttl)
end
local function room(backlog, units, period, burst)
  return math.max(0, math.floor((burst * period - backlog) / period)), math.ceil(backlog / units)
end
`;

/**
 * KEYS: rates, then slots. ARGV: holder, lease in ms, number of rates; units, period, burst and cost of each rate; the most of each slot.
 * Answers: 0 or the number of the key that is full, ms until it has room (-1: unknown), then remaining and reset of each rate.
 */
export const takeScript = `${preamble}
local holder, lease, rates = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local function rate(i)
  local at = 4 * i
  return tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
end
local full, retry = 0, -1
for i = rates + 1, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  local most = tonumber(ARGV[3 + 4 * rates + i - rates])
  if full == 0 and redis.call('ZCARD', KEYS[i]) >= most then full = i end
end
local backlogs = {}
for i = 1, rates do
  local units, period, burst, cost = rate(i)
  backlogs[i] = drained(KEYS[i], units, period, burst)
  local after = backlogs[i] + cost * period
  if (full == 0 or full <= rates) and cost > burst then
    full, retry = i, -1
  elseif cost > 0 and after > burst * period then
    local wait = math.ceil((after - burst * period) / units)
    if full == 0 or (retry >= 0 and wait > retry) then full, retry = i, wait end
  end
end
local answer = { full, retry }
for i = 1, rates do
  local units, period, burst, cost = rate(i)
  if full == 0 then
    backlogs[i] = backlogs[i] + cost * period
    if cost > 0 then keep(KEYS[i], backlogs[i], units) end
  end
  local remaining, reset = room(backlogs[i], units, period, burst)
  answer[#answer + 1] = remaining
  answer[#answer + 1] = reset
end
if full == 0 then
  for i = rates + 1, #KEYS do
    redis.call('ZADD', KEYS[i], now + lease, holder)
    redis.call('PEXPIRE', KEYS[i], lease + 1000)
  end
end
return answer
`;

/** KEYS: slots, then rates. ARGV: holder, number of slots; units, period, burst and units to add of each rate. */
export const settleScript = `${preamble}
local slots = tonumber(ARGV[2])
for i = 1, slots do redis.call('ZREM', KEYS[i], ARGV[1]) end
for i = slots + 1, #KEYS do
  local at = 4 * (i - slots) - 1
  local units, period, burst, more =
    tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local owed = drained(KEYS[i], units, period, burst) + more * period
  keep(KEYS[i], math.min(math.max(owed, 0), most_owed(period, burst)), units)
end
return 0
`;

/** KEYS: slots. ARGV: lease in ms, then the holder of each. A slot that a restart of the server lost is there again. */
export const renewScript = `${preamble}
local lease = tonumber(ARGV[1])
for i = 1, #KEYS do
  redis.call('ZADD', KEYS[i], now + lease, ARGV[1 + i])
  redis.call('PEXPIRE', KEYS[i], lease + 1000)
end
return 0
`;

/** KEYS: rates, then slots. ARGV: number of rates; units, period and burst of each. Answers remaining and reset of each rate, then the slots in use. */
export const lookScript = `${preamble}
local rates = tonumber(ARGV[1])
local answer = {}
for i = 1, rates do
  local at = 3 * i - 1
  local units, period, burst = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local remaining, reset = room(drained(KEYS[i], units, period, burst), units, period, burst)
  answer[#answer + 1] = remaining
  answer[#answer + 1] = reset
end
for i = rates + 1, #KEYS do
  answer[#answer + 1] = redis.call('ZCOUNT', KEYS[i], '(' .. string.format('%.0f', now), '+inf')
end
return answer
`;
