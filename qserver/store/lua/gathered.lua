-- What a batch writes to tickets, queues, deadlines, lists and kept answers is gathered here and given to Redis together,
-- behind its last command; what its commands surely read is read together before the first. A call into Redis costs as
-- much as most of what a command does itself, whatever it calls for. Readers of these keys in other chapters call `write`
-- first; the records of tickets are read here alone.
local load_ticket, save_ticket, read_tickets, read_ids, move_in_queue, write_queue, due, due_at, read_answers, write, stamp
do
local AT_ONCE = 1000 -- values in one call: Lua has room for some 8,000

function gather(ctx)
  ctx.tickets, ctx.unsaved = {}, {} -- id -> packed record (false: there is none); id, record of those not written yet
  ctx.queue, ctx.lines = {}, {} -- member -> score, or false to take it out; fronts of queues that were read (order.lua)
  ctx.deadlines = {} -- member -> instant, or false to take it out
  ctx.issued, ctx.shown = {}, {} -- ids to add to the order of issue; packed calls to show, the last one at the end
  ctx.kept, ctx.answers = {}, {} -- op key -> digest and answer: found, and new
end

-- Gives `verb` the values of a list, in as many calls as it takes.
local function write_list(verb, key, list)
  for i = 1, #list, AT_ONCE do call(verb, key, unpack(list, i, math.min(i + AT_ONCE - 1, #list))) end
end

-- A sorted set's changes: member -> score, or false.
local function write_sorted(key, changes)
  local gone, set, n = {}, {}, 0
  for member, score in pairs(changes) do
    if score then
      set[n + 1], set[n + 2], n = score, member, n + 2
    else
      gone[#gone + 1] = member
    end
  end
  write_list('ZREM', key, gone)
  write_list('ZADD', key, set)
end

-- What the ids of the day's tickets begin with.
function stamp(ctx)
  local day = ctx.day
  if ctx.stamped ~= day then
    ctx.stamped, ctx.stamp = day, string.sub(day, 1, 4) .. string.sub(day, 6, 7) .. string.sub(day, 9, 10) .. '-'
  end
  return ctx.stamp
end

local function full_id(ctx, name)
  if string.find(name, '-', 1, true) then return name end
  return stamp(ctx) .. name
end

-- Reads tickets by their ids, each once.
function read_ids(ctx, ids)
  for i = 1, #ids, AT_ONCE do
    local last = math.min(i + AT_ONCE - 1, #ids)
    local packed = call('HMGET', ctx.keys[TICKETS], unpack(ids, i, last))
    for j = i, last do
      local id = ids[j]
      if ctx.tickets[id] == nil then ctx.tickets[id] = packed[j - i + 1] end -- what was saved since is newer
    end
  end
end

function read_tickets(ctx, names)
  local ids, seen = {}, {}
  for _, name in ipairs(names) do
    local id = full_id(ctx, name)
    if ctx.tickets[id] == nil and not seen[id] then ids[#ids + 1], seen[id] = id, true end
  end
  read_ids(ctx, ids)
end

function load_ticket(ctx, name)
  local packed = ctx.tickets[name]
  if packed == nil then
    local id = full_id(ctx, name)
    packed = ctx.tickets[id]
    if packed == nil then
      packed = call('HGET', ctx.keys[TICKETS], id)
      ctx.tickets[id] = packed
    end
  end
  return packed and record_of(packed), packed
end

-- Answers with the packed record. `done`: nobody is going to need it soon.
function save_ticket(ctx, t, done)
  local packed, unsaved, id = pack_ticket(t), ctx.unsaved, t[T.id]
  if not done then keep_record(packed, t) end
  ctx.tickets[id] = packed
  local n = #unsaved
  if unsaved[n - 1] ~= id then n = n + 2 end -- what is saved again at once is written once
  unsaved[n - 1], unsaved[n] = id, packed
  return packed
end

-- Puts a member into the hall's queues at a score, or with none takes it out.
function move_in_queue(ctx, member, score) ctx.queue[member] = score or false end

function write_queue(ctx)
  if next(ctx.queue) == nil then return end
  write_sorted(ctx.keys[QUEUE], ctx.queue)
  ctx.queue = {}
end

-- Sets the instant at which time decides something, or with none takes it away.
function due(ctx, member, at) ctx.deadlines[member] = at or false end

-- The instants of deadlines, false for those that are not set.
function due_at(ctx, members)
  local found = {}
  for i = 1, #members, AT_ONCE do
    local last = math.min(i + AT_ONCE - 1, #members)
    local scores = call('ZMSCORE', ctx.keys[DUE], unpack(members, i, last))
    for j = i, last do
      local at = ctx.deadlines[members[j]]
      if at == nil then at = tonumber(scores[j - i + 1] or nil) or false end
      found[j] = at
    end
  end
  return found
end

-- Reads the answers that are kept under these op keys.
function read_answers(ctx, op_keys)
  local now_period, keys = math.floor(ctx.now / KEPT_MS), ctx.keys
  if now_period > ctx.period then
    call('UNLINK', keys[OPS + now_period % 2])
    if now_period > ctx.period + 1 then call('UNLINK', keys[OPS + (now_period + 1) % 2]) end
    call('HSET', keys[PART], 'period', now_period)
    ctx.period = now_period
  end
  for back = 1, 0, -1 do
    local found = call('HMGET', keys[OPS + (ctx.period + back) % 2], unpack(op_keys))
    for i, key in ipairs(op_keys) do ctx.kept[key] = found[i] or ctx.kept[key] end
  end
end

function write(ctx)
  local keys = ctx.keys
  write_list('HSET', keys[TICKETS], ctx.unsaved)
  write_list('RPUSH', keys[ORDER], ctx.issued)
  write_queue(ctx)
  write_sorted(keys[DUE], ctx.deadlines)
  if #ctx.shown > 0 then
    write_list('LPUSH', keys[CALLS], ctx.shown)
    call('LTRIM', keys[CALLS], 0, 19)
  end
  local answers, n = {}, 0
  for key, answer in pairs(ctx.answers) do
    answers[n + 1], answers[n + 2], n = key, answer, n + 2
  end
  write_list('HSET', keys[OPS + ctx.period % 2], answers)
  ctx.unsaved, ctx.issued, ctx.deadlines, ctx.shown, ctx.answers = {}, {}, {}, {}, {}
end
end
