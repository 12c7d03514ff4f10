-- Who comes next. All queues of a hall are bands of one sorted set: score = band * WIDTH + virtual arrival, where the
-- virtual arrival is (arrival - priority boost) in ms since BASE. One key holds them all, so every function can declare
-- it; bands are given by `configure` and never used again for something else.
-- A member is 'ISEQ:TICKET', so that equal ms keep the order of issue. A ticket bound to a window stands twice: in its
-- service's band with '@' behind (it counts as waiting there, but other windows pass over it) and in the window's with '#'.
local WIDTH = 2199023255552 -- 2^41 ms, 69 years
local BASE = 1262304000000 -- 2010-01-01
local FIRST = 1e9 -- arrivals below are tickets put first: no clock reaches them

local function low(ctx, queue) return ctx.rules.bands[queue] * WIDTH end

local function member(t) return string.format('%09d:%s', t[T.iseq], t[T.id]) end

local function enqueue(ctx, t)
  local key, m = ctx.keys[QUEUE], member(t)
  local c = counters(ctx, t[T.service])
  c[C.waiting], c[C.last_place] = c[C.waiting] + 1, math.max(c[C.last_place], t[T.score])
  if t[T.bound] == '' then
    call('ZADD', key, low(ctx, 's:' .. t[T.service]) + t[T.score], m)
  else
    call('ZADD', key, low(ctx, 's:' .. t[T.service]) + t[T.score], m .. '@',
      low(ctx, 'w:' .. t[T.bound]) + t[T.score], m .. '#')
  end
end

local function dequeue(ctx, t)
  local m = member(t)
  count(ctx, t[T.service], C.waiting, -1)
  if t[T.bound] == '' then call('ZREM', ctx.keys[QUEUE], m) else call('ZREM', ctx.keys[QUEUE], m .. '@', m .. '#') end
end

local function waiting(ctx, service) return counters(ctx, service)[C.waiting] end

-- How many waiting tickets of its service stand before this one.
local function ahead(ctx, t)
  local m = t[T.bound] == '' and member(t) or member(t) .. '@'
  local rank = call('ZRANK', ctx.keys[QUEUE], m)
  if not rank then return 0 end
  return rank - call('ZCOUNT', ctx.keys[QUEUE], '-inf', low(ctx, 's:' .. t[T.service]) - 1)
end

-- The same for one that was put in its queue just now: whoever has its score already came before it.
local function ahead_of_new(ctx, t)
  local from = low(ctx, 's:' .. t[T.service])
  return call('ZCOUNT', ctx.keys[QUEUE], from, from + t[T.score]) - 1
end

-- Tickets of a queue from position `skip` on: {member, virtual arrival} pairs, at most `n`.
local function queue_slice(ctx, queue, skip, n)
  local from = low(ctx, queue)
  local found = call('ZRANGEBYSCORE', ctx.keys[QUEUE], from, from + WIDTH - 1, 'WITHSCORES', 'LIMIT', skip, n)
  local slice = {}
  for i = 1, #found, 2 do slice[#slice + 1] = {found[i], tonumber(found[i + 1]) - from} end
  return slice
end

local function ticket_id(m) return (string.gsub(string.match(m, ':(.*)$'), '[@#]$', '')) end

-- The ticket the window would call: the lowest virtual arrival over its own queue and its services' queues, each with
-- the window's penalty for it; equal ones in the order of the window's list.
local function next_for(ctx, w)
  local best, id
  local own = queue_slice(ctx, 'w:' .. w[W.id], 0, 1)[1]
  if own then best, id = own[2], ticket_id(own[1]) end
  local penalty = ctx.rules.windows[w[W.id]].penalty
  for _, service in ipairs(w[W.services]) do
    local skip, head = 0, nil
    repeat -- tickets bound to other windows are passed over
      local slice = queue_slice(ctx, 's:' .. service, skip, skip == 0 and 1 or 64)
      for _, entry in ipairs(slice) do
        if string.sub(entry[1], -1) ~= '@' then head = entry break end
      end
      skip = skip + #slice
    until head or #slice == 0
    if head then
      local score = head[2] + (penalty[service] or 0)
      if not best or score < best then best, id = score, ticket_id(head[1]) end
    end
  end
  return id
end

local function arrival(ctx, at, priority)
  return math.max(FIRST, at - (ctx.rules.priorities[priority] or 0) - BASE)
end

-- A virtual arrival before everybody of every queue.
local function first_place(ctx, queue)
  local head = queue_slice(ctx, queue, 0, 1)[1]
  return head and head[2] < FIRST and head[2] - 1 or FIRST - 1
end

local function last_place(ctx, queue)
  local from = low(ctx, queue)
  local tail = call('ZREVRANGEBYSCORE', ctx.keys[QUEUE], from + WIDTH - 1, from, 'WITHSCORES', 'LIMIT', 0, 1)
  return math.max(ctx.now - BASE, tail[2] and tonumber(tail[2]) - from + 1 or 0)
end

-- A virtual arrival behind the first `n` of a queue: between the n-th and the next one with room between them.
local function place_behind(ctx, queue, n)
  if n == 0 then
    local head = queue_slice(ctx, queue, 0, 1)[1]
    return head and head[2] - 1 or ctx.now - BASE
  end
  local skip = n - 1
  local before = queue_slice(ctx, queue, skip, 1)[1]
  while before do
    local after = queue_slice(ctx, queue, skip + 1, 1)[1]
    if not after then break end
    local middle = (before[2] + after[2]) / 2
    local from = low(ctx, queue)
    if from + middle > from + before[2] and from + middle < from + after[2] then return middle end
    before, skip = after, skip + 1
  end
  return last_place(ctx, queue)
end
