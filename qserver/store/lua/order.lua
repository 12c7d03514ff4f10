-- Who comes next. All queues of a hall are bands of one sorted set: score = band * WIDTH + virtual arrival, where the
-- virtual arrival is (arrival - priority boost) in ms since BASE. One key holds them all, so every function can declare
-- it; bands are given by `configure` and never used again for something else.
-- A member is 'ISEQ:TICKET', so that equal ms keep the order of issue. A ticket bound to a window stands twice: in its
-- service's band with '@' behind (it counts as waiting there, but other windows pass over it) and in the window's with '#'.
local low, enqueue, dequeue, waiting, ahead, ahead_of_new, ticket_id, next_for, wants_queues, arrival, first_place,
  last_place, place_behind -- what later chapters use; a library has room for 200 names
local WIDTH = 2199023255552 -- 2^41 ms, 69 years
local FIRST = 1e9 -- arrivals below are tickets put first: no clock reaches them
do
local BASE = 1262304000000 -- 2010-01-01
local BOUND, OWN = 64, 35 -- '@', '#'

function low(ctx, queue) return ctx.rules.bands[queue] * WIDTH end

-- The name of a service's queue, beside the rules: making it anew for every call costs more than looking it up.
local function queue_of(ctx, service)
  local names = ctx.rules.queue_names
  if not names then
    names = {}
    ctx.rules.queue_names = names
  end
  local name = names[service]
  if not name then
    name = 's:' .. service
    names[service] = name
  end
  return name
end

local function member(t)
  local n = t[T.iseq]
  return three(math.floor(n / 1000000)) .. three(math.floor(n / 1000) % 1000) .. three(n % 1000) .. ':' .. t[T.id]
end

-- How many tickets wait for a window of their own.
local function bound_waiting(ctx)
  local n = tonumber(field(ctx, 'bound') or nil)
  if not n then -- a hall from before they were counted
    n = 0
    write_queue(ctx)
    for _, id in ipairs(ctx.rules.window_order) do
      local from = low(ctx, 'w:' .. id)
      n = n + call('ZCOUNT', ctx.keys[QUEUE], from, from + WIDTH - 1)
    end
    put(ctx, 'bound', n)
  end
  return n
end

-- `ctx.lines` has the fronts of queues as they were read for this batch, brought up to date by the two that follow:
-- see `read_front`; `whole` when nobody stands behind them.
local function enter(ctx, queue, m, score)
  move_in_queue(ctx, m, low(ctx, queue) + score)
  local line = ctx.lines[queue]
  if line and (line.whole or #line == 0 or score <= line[#line][2]) then ctx.lines[queue] = nil end
end

local function leave(ctx, queue, m)
  move_in_queue(ctx, m)
  for i, entry in ipairs(ctx.lines[queue] or {}) do
    if entry[1] == m then return table.remove(ctx.lines[queue], i) end
  end
end

function enqueue(ctx, t)
  local m, c = member(t), counters(ctx, t[T.service])
  c[C.waiting], c[C.last_place] = c[C.waiting] + 1, math.max(c[C.last_place], t[T.score])
  if t[T.bound] == '' then return enter(ctx, queue_of(ctx, t[T.service]), m, t[T.score]) end
  put(ctx, 'bound', bound_waiting(ctx) + 1)
  enter(ctx, 's:' .. t[T.service], m .. '@', t[T.score])
  enter(ctx, 'w:' .. t[T.bound], m .. '#', t[T.score])
end

-- `found`: how it stands in its queue, where that is known.
function dequeue(ctx, t, found)
  local c = counters(ctx, t[T.service])
  c[C.waiting] = c[C.waiting] - 1
  if t[T.bound] == '' then return leave(ctx, queue_of(ctx, t[T.service]), found or member(t)) end
  local m = member(t)
  put(ctx, 'bound', bound_waiting(ctx) - 1)
  leave(ctx, 's:' .. t[T.service], m .. '@')
  leave(ctx, 'w:' .. t[T.bound], m .. '#')
end

function waiting(ctx, service) return counters(ctx, service)[C.waiting] end

-- How many waiting tickets of its service stand before this one.
function ahead(ctx, t)
  write_queue(ctx)
  local m = t[T.bound] == '' and member(t) or member(t) .. '@'
  local rank = call('ZRANK', ctx.keys[QUEUE], m)
  if not rank then return 0 end
  return rank - call('ZCOUNT', ctx.keys[QUEUE], '-inf', low(ctx, 's:' .. t[T.service]) - 1)
end

-- The same for one that was put in its queue just now: whoever has its score already came before it.
function ahead_of_new(ctx, t)
  write_queue(ctx)
  local from = low(ctx, 's:' .. t[T.service])
  return call('ZCOUNT', ctx.keys[QUEUE], from, from + t[T.score]) - 1
end

-- Members of a queue from position `skip` on, each with its score behind it, at most `n`; and where the queue begins.
local function members(ctx, queue, skip, n)
  write_queue(ctx)
  local from = low(ctx, queue)
  return call('ZRANGEBYSCORE', ctx.keys[QUEUE], from, from + WIDTH - 1, 'WITHSCORES', 'LIMIT', skip, n), from
end

-- The same as {member, virtual arrival} pairs.
local function queue_slice(ctx, queue, skip, n)
  local found, from = members(ctx, queue, skip, n)
  local slice = {}
  for i = 1, #found, 2 do slice[#slice + 1] = {found[i], tonumber(found[i + 1]) - from} end
  return slice
end

function ticket_id(m)
  local last = string.byte(m, -1)
  return string.sub(m, string.find(m, ':', 1, true) + 1, (last == BOUND or last == OWN) and -2 or -1)
end

-- The first `n` of a queue but for those bound to another window, as {member, virtual arrival, ticket}. The calls of a
-- batch take from it, so the tickets of several are read together.
local function read_front(ctx, queue, n)
  local found, from = members(ctx, queue, 0, n)
  local line, ids = {whole = #found < n * 2}, {}
  for i = 1, #found, 2 do
    local m = found[i]
    if string.byte(m, -1) ~= BOUND then
      local id = ticket_id(m)
      line[#line + 1], ids[#ids + 1] = {m, tonumber(found[i + 1]) - from, id}, id
    end
  end
  if #ids > 1 then read_ids(ctx, ids) end
  ctx.lines[queue] = line
  return line
end

-- The first of a queue. A front of it is read for all calls of a batch, its length their share of those who serve it;
-- where only bound ones stand there, a longer one is.
local function first_of(ctx, queue, share)
  local line, n = ctx.lines[queue], math.ceil(ctx.calls / share)
  while not line or not (line[1] or line.whole) do line, n = read_front(ctx, queue, n), n * 8 end
  return line[1]
end

-- The ticket the window would call, and how it stands in its queue: the lowest virtual arrival over the window's own
-- queue and its services' queues, each with the window's penalty for it; equal ones in the order of the window's list.
function next_for(ctx, w)
  local best, first
  if bound_waiting(ctx) > 0 then
    first = first_of(ctx, 'w:' .. w[W.id], ctx.calls)
    best = first and first[2]
  end
  local services, penalty = w[W.services], ctx.rules.windows[w[W.id]].penalty
  local lines, queues = ctx.lines, ctx.rules.queue_names or {}
  for i = 1, #services do
    local service = services[i]
    local queue = queues[service]
    local line = queue and lines[queue]
    local head = line and line[1]
      or waiting_now(ctx, service) > 0 and first_of(ctx, queue or queue_of(ctx, service), #services)
    if head then
      local score = head[2] + (penalty[service] or 0)
      if not best or score < best then best, first = score, head end
    end
  end
  if first then return first[3], first[1] end
end

function wants_queues(argv, rules)
  local fields, window = {'w:' .. argv[4], 'bound'}, rules.windows[argv[4]]
  for _, service in ipairs(window and window.services or {}) do fields[#fields + 1] = 'k:' .. service end
  return fields
end

function arrival(ctx, at, priority)
  return math.max(FIRST, at - (ctx.rules.priorities[priority] or 0) - BASE)
end

-- A virtual arrival before everybody of every queue.
function first_place(ctx, queue)
  local head = queue_slice(ctx, queue, 0, 1)[1]
  return head and head[2] < FIRST and head[2] - 1 or FIRST - 1
end

function last_place(ctx, queue)
  write_queue(ctx)
  local from = low(ctx, queue)
  local tail = call('ZREVRANGEBYSCORE', ctx.keys[QUEUE], from + WIDTH - 1, from, 'WITHSCORES', 'LIMIT', 0, 1)
  return math.max(ctx.now - BASE, tail[2] and tonumber(tail[2]) - from + 1 or 0)
end

-- A virtual arrival behind the first `n` of a queue: between the n-th and the next one with room between them.
function place_behind(ctx, queue, n)
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
end
