-- What time decides: warnings, overtime, missed by itself, the end of rating time, the day's turn, stepped clocks.

step_clock = function(ctx)
  ctx.clock = ctx.clock + 1
  emit(ctx, 'clock.stepped', {}, {'stepped_ms', ctx.stepped})
end

local function expire(ctx, t)
  mark(t, UNRELIABLE)
  settle(ctx, t)
  t[T.state], t[T.outcome] = 'expired', 'expired'
  count(ctx, t[T.service], C.expired)
  emit_ticket(ctx, 'ticket.expired', t, nil, {'expire', '', '', t[T.no], t[T.service], 0, 0})
  schedule(ctx, t)
  save_ticket(ctx, t)
end

-- The business day ended at day_end: what is left expires, windows close, counters and numbers begin anew. Runs before
-- the first command after that instant, or when sweep comes, whichever is first.
turn_day = function(ctx)
  local keys, actor = ctx.keys, ctx.actor
  local day, day_end = business_day(ctx.rules, ctx.now)
  if day <= ctx.day then -- the zone, the day's start or the clock was changed: no day is begun twice
    ctx.day_end = day_end
    return
  end
  ctx.actor = 'system'
  local left = 0
  write(ctx)
  put(ctx, 'bound', 0)
  call('UNLINK', keys[QUEUE], keys[PEOPLE], keys[CALLS])
  local ids = call('LRANGE', keys[ORDER], ctx.day_iseq - ctx.order_first, -1)
  for i = 1, #ids, 500 do
    local packed = call('HMGET', keys[TICKETS], unpack(ids, i, math.min(i + 499, #ids)))
    for j = 1, #packed do
      local t = packed[j] and unpack_(packed[j])
      if t and LIVE[t[T.state]] then
        expire(ctx, t)
        left = left + 1
      end
    end
  end
  for _, id in ipairs(ctx.rules.window_order) do
    local w = load_window(ctx, id)
    if w[W.state] ~= 'closed' then
      w[W.ticket], w[W.leg], w[W.service], w[W.limit_ms], w[W.held_ms] = '', 0, '', 0, 0
      close_window(ctx, w)
    end
    drop(ctx, 'u:' .. id)
  end
  emit(ctx, 'day.closed', {}, {'expired', left}, {'config'})
  local numbers, seen = {}, {}
  for _, service in ipairs(ctx.rules.service_order) do
    local prefix = 'n:' .. ctx.rules.services[service].prefix
    if not seen[prefix] then numbers[#numbers + 1] = prefix end
    seen[prefix] = true
    local c = counters(ctx, service)
    for field = 1, COUNTERS do
      if field ~= C.mean_ms then c[field] = 0 end
    end
  end
  drop(ctx, unpack(numbers))
  local until_ms = rated_until(ctx)
  close_day(ctx, until_ms)
  ctx.day, ctx.day_end = day, day_end
  ctx.day_iseq = ctx.iseq + 1
  due(ctx, 'd ' .. ctx.hall, day_end)
  local leave = 'f ' .. ctx.hall .. ' ' .. ctx.day_iseq
  if not due_at(ctx, {leave})[1] then due(ctx, leave, until_ms) end -- a day without tickets puts off no others' leaving
  ctx.actor = actor
end

local function warn(ctx, t, what, flag, due)
  mark(t, flag)
  emit_ticket(ctx, 'overtime.warned', t, {'what', what}, nil, nil, due)
end

-- What is due for a ticket now, by its state.
local function ticket_due(ctx, id)
  local t = load_ticket(ctx, id)
  if not t then return end
  local before = t[T.events]
  if t[T.state] == 'waiting' and t[T.first_called_ms] == 0 then
    local limit = (ctx.rules.services[t[T.service]] or {wait = 0}).wait
    settle(ctx, t)
    if limit > 0 and not has(t[T.flags], WAIT_OVER) and not has(t[T.flags], WAIT_WARNED)
      and ctx.now - t[T.queued_ms] >= math.floor(limit * ctx.rules.overtime.warn_at) then
      warn(ctx, t, 'wait', WAIT_WARNED, t[T.queued_ms] + limit)
    end
  elseif is_limited(ctx, t) then
    local limit = limit_of(ctx, t[T.service])
    settle(ctx, t)
    if limit > 0 and not has(t[T.flags], SERVICE_OVER) and not has(t[T.flags], SERVICE_WARNED)
      and used_ms(ctx, t) >= math.floor(limit * ctx.rules.overtime.warn_at) then
      warn(ctx, t, 'service', SERVICE_WARNED, t[T.started_ms] + spared_ms(ctx, t) + limit)
    end
  elseif t[T.state] == 'called' and ctx.rules.calls.miss_after > 0
    and ctx.now >= t[T.called_ms] + ctx.rules.calls.miss_after then
    miss_ticket(ctx, load_window(ctx, t[T.window]), t)
    return
  end
  schedule(ctx, t)
  if t[T.events] ~= before then save_ticket(ctx, t) end
end

local function rating_due(ctx, id, number)
  local t = load_ticket(ctx, id)
  if not t then return end
  local service, window, staff, finished, _, rating = rated_leg(t, number)
  if not service or rating then return end
  t[T.events] = t[T.events] + 1
  emit(ctx, 'rating.unrated', {id, number, window, service, staff, t[T.events]}, nil, nil,
    end_prompt(ctx, window, id, number))
  default_later(ctx, id, number, finished)
  save_ticket(ctx, t)
end

-- A ticket's telephone number is needed while its day runs and no longer.
local function erase_phone(ctx, id)
  local t = load_ticket(ctx, id)
  if not t or t[T.phone] == '' then return end
  t[T.phone], t[T.events] = '', t[T.events] + 1
  emit(ctx, 'ticket.erased', {id, t[T.leg], t[T.window], t[T.service], t[T.staff], t[T.events]}, {'what', 'phone'})
  save_ticket(ctx, t)
end

-- What a deadline of each kind asks for: function(ctx, id, leg, member).
local ASKS = {
  t = function(ctx, id) ticket_due(ctx, id) end,
  r = function(ctx, id, leg) rating_due(ctx, id, tonumber(leg)) end,
  v = function(ctx, id) review_due(ctx, id) end,
  c = function(ctx, _, _, member) case_due(ctx, string.match(member, '^%a %S+ (.*)$')) end, -- may have spaces in it
  l = function(ctx, id, leg) default_due(ctx, id, tonumber(leg)) end,
  p = function(ctx, id) erase_phone(ctx, id) end,
  g = function(ctx, _, _, member) remove_case(ctx, string.match(member, '^%a %S+ (.*)$')) end,
  e = function(ctx, id) retain_review(ctx, id) end,
  f = function(ctx, id, _, member) forget(ctx, tonumber(id), member) end,
  d = function(ctx, _, _, member) due(ctx, member, ctx.day_end) end, -- the turn came with the batch
}

-- argv: members of the deadlines, each looked at again here: whoever sweeps too finds nothing left to do. One that
-- fails stays due, so that nothing is ever lost with it.
command('sweep', function(ctx, argv)
  local done, members = 0, {unpack(argv, 4)}
  for i, at in ipairs(due_at(ctx, members)) do
    if ctx.deadlines[members[i]] ~= nil then at = ctx.deadlines[members[i]] end -- one before it may have set it anew
    if at and at <= ctx.now then
      local member = members[i]
      local kind, id, leg = string.match(member, '^(%a) %S+ ?(%S*) ?(%d*)')
      due(ctx, member)
      local did, why = pcall(ASKS[kind], ctx, id, leg, member)
      if not did then
        due(ctx, member, at)
        error(type(why) == 'table' and why.err or why, 0)
      end
      done = done + 1
    end
  end
  return {1, done}
end, nil, function(_, argv, names)
  for i = 4, #argv do
    names[#names + 1] = string.match(argv[i], '^[trlp] %S+ (%S+)')
  end
end)
