-- Commands as they come: a batch of them for one hall, in order, each with an answer of its own.

-- Runs one command. Answers with the packed answer and 0 (done now), 1 (the kept answer again), 2 (the key was used with
-- another body) or 3 (the handler failed; the text says how).
local function run(ctx, entry, argv)
  ctx.seated = type(argv[3]) == 'table'
  ctx.actor = ctx.seated and argv[3][1] or argv[3]
  local keyed = argv[1] ~= ''
  if keyed then
    local kept, flag = kept_answer(ctx, argv)
    if kept then return kept, flag end
  end
  local answer
  if ctx.rev or entry[3] then
    local done
    done, answer = pcall(entry[1], ctx, argv)
    if not done then return type(answer) == 'table' and answer.err or tostring(answer), 3 end
  else
    answer = refuse('not_found', 'what', 'hall')
  end
  local packed = type(answer) == 'string' and answer or pack(answer)
  if keyed then ctx.answers[argv[1]] = argv[2] .. packed end
  return packed, 0
end

local NONE = {}

local function begin(keys, first, fields)
  local ctx = {
    keys = keys, now = clock(), state = keys[first], hall = '-',
    got = {}, set = {}, k = {}, windows = {}, saved = {}, packed = {},
  }
  gather(ctx)
  local _
  _, ctx.period = epoch(keys)
  local found = call('HMGET', ctx.state, 'head', 'rev', unpack(fields))
  for i = 1, #fields do ctx.got[fields[i]] = found[i + 2] end
  read_head(ctx, found[1])
  ctx.rev, ctx.s0 = found[2], ctx.s
  if ctx.now < ctx.last and ctx.last - ctx.now <= STEP_MS then
    ctx.now = ctx.last
  elseif ctx.now < ctx.last then
    ctx.stepped = ctx.last - ctx.now
  end
  return ctx
end

local function finish(ctx)
  write(ctx)
  if ctx.s == ctx.s0 and not ctx.changed then return end
  local set = {'head', numbers(
    HEAD, ctx.s, ctx.p, ctx.now, ctx.clock, ctx.iseq, ctx.day_iseq, ctx.day_end, ctx.order_first) .. ctx.day}
  local n = 2
  for name, value in pairs(ctx.set) do
    set[n + 1], set[n + 2], n = name, value, n + 2
  end
  for service, c in pairs(ctx.k) do
    set[n + 1], set[n + 2], n = 'k:' .. service, numbers(COUNTERS_AS, unpack(c, 1, COUNTERS)), n + 2
  end
  for id, w in pairs(ctx.saved) do
    local packed = packed_window(ctx, w)
    keep_record(packed, w)
    set[n + 1], set[n + 2], n = 'w:' .. id, packed, n + 2
  end
  call('HSET', ctx.state, unpack(set))
end

-- The fields that a command wants, for each window or service made out once per revision of the hall's rules. While
-- those are not at hand a command reads what it needs by itself.
local function wanted_fields(known, wants, argv)
  local rules, by_name = known[2], known[3][wants]
  if not by_name then
    by_name = {}
    known[3][wants] = by_name
  end
  local fields = by_name[argv[4]]
  if not fields then
    fields = wants(argv, rules)
    if rules.windows[argv[4]] or rules.services[argv[4]] then by_name[argv[4]] = fields end
  end
  return fields
end

-- argv: name and packed arguments of each command, these one behind the other: an array of them would grow as it is
-- unpacked, while Lua makes a table of many values at once. Answers with packed answer and flag of each; behind a hall's, the
-- instant of its partition's next deadline ('0' = none) and now, so that whoever set one need not go and look for it.
local function batch(keys, argv, first, handlers)
  awake()
  local entries, commands, fields, seen, op_keys, calls = {}, {}, {}, {}, {}, 0
  local known = RULES[keys[first]]
  for i = 1, #argv, 2 do
    local entry, arguments = handlers[argv[i]], {unpack_(argv[i + 1])}
    if not entry then error('no command ' .. argv[i]) end
    entries[#entries + 1], commands[#commands + 1] = entry, arguments
    if arguments[1] ~= '' then op_keys[#op_keys + 1] = arguments[1] end
    if argv[i] == 'call' then calls = calls + 1 end
    local wanted = known and entry[2] and wanted_fields(known, entry[2], arguments) or NONE
    for j = 1, #wanted do
      local name = wanted[j]
      if not seen[name] then
        fields[#fields + 1], seen[name] = name, true
      end
    end
  end
  local ctx = begin(keys, first, fields)
  ctx.calls = calls
  if #op_keys > 0 then read_answers(ctx, op_keys) end
  if first == HALL then
    ctx.hall = hall_of(keys)
    if ctx.rev then
      ctx.rules = rules_of(keys, ctx.rev)
      ctx.actor = 'system'
      if ctx.stepped then step_clock(ctx) end
      if ctx.now >= ctx.day_end then turn_day(ctx) end
      local names = {}
      for i, entry in ipairs(entries) do
        if entry[4] then pcall(entry[4], ctx, commands[i], names) end -- what fails here fails again by itself
      end
      if #names > 0 then read_tickets(ctx, names) end
    end
  else
    ctx.day = date_of(math.floor(ctx.now / DAY))
  end
  local answers = {}
  for i, entry in ipairs(entries) do answers[i * 2 - 1], answers[i * 2] = run(ctx, entry, commands[i]) end
  finish(ctx)
  if first == HALL then
    answers[#answers + 1] = call('ZRANGE', keys[DUE], 0, 0, 'WITHSCORES')[2] or '0'
    answers[#answers + 1] = tostring(ctx.now)
  end
  return answers
end

redis.register_function(PREFIX .. 'commands', function(keys, argv) return batch(keys, argv, HALL, HANDLERS) end)
redis.register_function(PREFIX .. 'control', function(keys, argv) return batch(keys, argv, SETTINGS, CONTROLS) end)
redis.register_function(PREFIX .. 'hook', function(keys, argv) return batch(keys, argv, SETTINGS, HOOK_CONTROLS) end)
