-- The instant of a command, in ms since the Unix epoch. A chapter of its own so that tests can put another clock here.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
