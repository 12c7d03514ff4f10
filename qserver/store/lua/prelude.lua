-- What every function begins and ends with: names of keys, epoch, kept answers, the hall's state, refusals.
--
-- A handler is function(ctx, argv) -> answer. It makes every check before its first write (there is no roll-back) and
-- returns {1, ...} (or that packed, where it is the answer to every press) or refuse(code, name, value, ...). argv: op
-- key ('' keeps nothing), body digest, actor ({actor} of a clerk who logged in for the window), arguments.
-- Commands of a hall that arrive together come as one batch (batch.lua): each is checked, done, recorded and answered by
-- itself, while the hall's head, windows and counters are read and written once for all.
-- What a handler puts into the hall's hash goes there in one HSET at the end, with the windows and counters it changed.
-- Calls into Redis and packing are most of a function's cost: what a command surely reads from the hall's hash is
-- read with its head in one HMGET (`wants`), and records are packed once, for the stream, the hash and the answer.
local KEPT_MS = 7200000 -- answers are kept at least this long, at most twice
local STEP_MS = 5000 -- a clock going back by up to this much is clamped

local call, pack, unpack_, numbers, from_numbers -- set by the first function that runs: while a library loads, only registering is possible
local RUN -- this server's run id; a local of the library, so another server (restart, failover) has another
local RULES = {} -- hall key -> {rev, rules, wanted}: definitions unpacked once per revision, and see wanted_fields

local function awake()
  if not call then
    call, pack, unpack_ = redis.call, cmsgpack.pack, cmsgpack.unpack
    numbers, from_numbers = struct.pack, struct.unpack -- a third of what MessagePack costs, where all are numbers
  end
end

local function refuse(code, ...)
  return {0, code, ...}
end

local function rules_of(keys, rev)
  local cached = RULES[keys[HALL]]
  if not cached or cached[1] ~= rev then
    cached = {rev, unpack_(call('HGET', keys[HALL], 'rules')), {}}
    RULES[keys[HALL]] = cached
  end
  return cached[2]
end

-- The epoch is the partition's generation and the server's run id. Whenever a write finds another server than the
-- last write did, the tail of the stream may have been lost: the generation rises and every screen is told. Answers with
-- the generation and the period of the kept answers.
local function epoch(keys)
  local part = call('HMGET', keys[PART], 'gen', 'run', 'period')
  if not RUN then RUN = string.match(call('INFO', 'server'), 'run_id:(%x+)') end
  if part[2] ~= RUN then
    part[1] = (tonumber(part[1]) or 0) + 1
    call('HSET', keys[PART], 'gen', part[1], 'run', RUN)
    call('XADD', keys[STREAM], '*', 'x', part[1] .. '-' .. string.sub(RUN, 1, 8))
  end
  return part[1], tonumber(part[3]) or 0
end

-- The answer kept under the op key, if any: answer, 1; or '', 2 when it was given for another body.
local function kept_answer(ctx, argv)
  local kept = ctx.answers[argv[1]] or ctx.kept[argv[1]]
  if not kept then return nil end
  if string.sub(kept, 1, 16) ~= argv[2] then return '', 2 end
  return string.sub(kept, 17), 1
end

-- A hall's head is eight numbers - s, p, the last command's instant, clock steps, the issue sequence, its first number
-- of the day, the day's end, the first number in the list in order of issue - and the day.
local HEAD, HEAD_SIZE = '<dddddddd', 64

-- Fields of the hall's hash. What is put there is written at the end; later commands of the batch see it at once.
local function put(ctx, name, value) ctx.set[name], ctx.got[name] = value, value end

local function drop(ctx, ...)
  for _, name in ipairs({...}) do ctx.set[name], ctx.got[name] = nil, false end
  call('HDEL', ctx.state, ...)
end

local function field(ctx, name)
  local value = ctx.got[name]
  if value == nil then
    value = call('HGET', ctx.state, name)
    ctx.got[name] = value
  end
  return value
end

local turn_day, step_clock, gather -- the day's turn, a clock gone back, what is gathered; given further on

local function read_head(ctx, head)
  ctx.s, ctx.p, ctx.last, ctx.clock, ctx.iseq, ctx.day_iseq, ctx.day_end, ctx.order_first = 0, 0, 0, 0, 0, 1, 0, 1
  ctx.day = ''
  if head then
    ctx.s, ctx.p, ctx.last, ctx.clock, ctx.iseq, ctx.day_iseq, ctx.day_end, ctx.order_first = from_numbers(HEAD, head)
    ctx.day = string.sub(head, HEAD_SIZE + 1)
  end
end

local HANDLERS, CONTROLS, HOOK_CONTROLS = {}, {}, {} -- command -> {handler, wants, fresh, tickets}: of a hall, of the control
-- partition, of a webhook there

-- A command of a hall. `wants` answers the fields of the hall's hash that it surely reads, by its fourth argument (a window
-- or a service) alone; `tickets` adds the tickets, once those fields are there; `fresh` allows a hall that does not exist yet (only its definition may be given then).
local function command(name, handler, wants, tickets, fresh) HANDLERS[name] = {handler, wants, fresh, tickets} end

-- A command of the control partition, whose settings hash stands where a hall's does.
local function control(name, handler) CONTROLS[name] = {handler, nil, true} end

local THREE = {} -- number -> its text

-- A number as text, with three digits at least. Formatting takes five times as long as the look-up.
local function three(n)
  local text = THREE[n]
  if not text then
    text = string.format('%03d', n)
    if n < 1000 then THREE[n] = text end
  end
  return text
end

local NAMES = {} -- hall key -> hall id

local function hall_of(keys)
  local key = keys[HALL]
  local name = NAMES[key]
  if not name then
    name = string.match(key, ':h:(.*)$')
    NAMES[key] = name
  end
  return name
end

-- A reading: no kept answer, no writes. What the handler returns after its answer follows it as it is (packed records
-- that nobody needs to unpack here).
local function reading(name, handler)
  redis.register_function{
    function_name = PREFIX .. name,
    flags = {'no-writes'},
    callback = function(keys, argv)
      awake()
      local found = call('HMGET', keys[HALL], 'head', 'rev')
      if not found[2] then return {pack(refuse('not_found', 'what', 'hall'))} end
      local part = call('HMGET', keys[PART], 'gen', 'run')
      local ctx = {
        keys = keys, now = clock(), hall = hall_of(keys), rules = rules_of(keys, found[2]), state = keys[HALL],
        k = {}, got = {}, ep = (part[1] or '0') .. '-' .. string.sub(part[2] or '', 1, 8),
      }
      gather(ctx)
      read_head(ctx, found[1])
      local answer, blobs = handler(ctx, argv)
      return {pack(answer), blobs}
    end,
  }
end
