-- Commands about a ticket given away from a window: issue, cancel, return, reprioritise, postpone, suspend, resume.

local function closed_now(ctx, service, rules)
  if field(ctx, 'x:' .. service) then return 'suspended' end
  if rules.opens > 0 or rules.closes < DAY then
    local time = time_of_day(ctx.rules, ctx.now)
    if time < rules.opens or time >= rules.closes then return 'hours' end
  end
end

-- argv: service, priority, channel, window, person, phone, further services...
command('issue', function(ctx, argv)
  local service, priority, channel, bound, person = argv[4], argv[5], argv[6], argv[7], argv[8]
  local rules, rest = ctx.rules.services[service], {}
  if not rules then return refuse('no_such_service') end
  for i = 10, #argv do
    if not ctx.rules.services[argv[i]] then return refuse('no_such_service') end
    rest[#rest + 1] = argv[i]
  end
  if bound ~= '' and not ctx.rules.windows[bound] then return refuse('no_such_window') end
  if not ctx.rules.priorities[priority] then return refuse('validation', 'field', 'priority') end
  local why = closed_now(ctx, service, rules)
  if why then return refuse('service_closed', 'reason', why) end
  local c = counters(ctx, service)
  if rules.quota >= 0 and c[C.issued] >= rules.quota then return refuse('quota_reached') end
  local held
  if person ~= '' then
    local other = call('HGET', ctx.keys[PEOPLE], person .. service)
    held = other and load_ticket(ctx, other)
    if held and LIVE[held[T.state]] and held[T.service] == service then
      return refuse('already_waiting', 'ticket', held[T.no])
    end
  end

  local iseq, number = ctx.iseq + 1, (tonumber(field(ctx, 'n:' .. rules.prefix)) or 0) + 1
  local no = rules.prefix .. three(number)
  local id = stamp(ctx) .. no
  local now = ctx.now
  local t = {
    id, no, ctx.day, iseq, service, priority, channel, 'waiting', 1, '', '', bound, arrival(ctx, now, priority),
    now, now, now, 0, 0, 0, 0, 0, 0, 0, 0, 0, ctx.clock, 0, person, argv[9], rest, {}, false, '', '',
  }
  ctx.iseq = iseq
  put(ctx, 'n:' .. rules.prefix, number)
  c[C.issued] = c[C.issued] + 1
  local newest = t[T.score] >= c[C.last_place]
  enqueue(ctx, t)
  ctx.issued[#ctx.issued + 1] = id
  if rules.wait > 0 then schedule(ctx, t) end
  if argv[9] ~= '' then due(ctx, 'p ' .. ctx.hall .. ' ' .. id, ctx.day_end) end
  if person ~= '' then call('HSET', ctx.keys[PEOPLE], person .. service, id) end
  local told = is_reissued(ctx, held) and signal(t, 'reissued', {'priority', priority, 'channel', channel})
  emit_ticket(ctx, 'ticket.issued', t, told or pack_issue_told(priority, channel),
    {'issue', '', '', no, service, 0, waiting(ctx, service)})
  local before = newest and c[C.waiting] - 1 or ahead_of_new(ctx, t)
  return pack_issued(save_ticket(ctx, t), before, c[C.open_windows], c[C.mean_ms])
end, function(argv, rules)
  local service = rules.services[argv[4]]
  return service and {'k:' .. argv[4], 'x:' .. argv[4], 'n:' .. service.prefix} or {}
end)

-- argv: ticket. A called ticket leaves its window idle.
command('cancel', function(ctx, argv)
  local t, refusal = find_ticket(ctx, argv[4], 'cancel')
  if refusal then return refusal end
  check_clock(ctx, t)
  settle(ctx, t)
  local before, w = t[T.state], nil
  local frame = {'cancel', '', '', t[T.no], t[T.service]}
  if before == 'waiting' then
    dequeue(ctx, t)
  elseif before == 'called' then
    w = load_window(ctx, t[T.window])
    seat(ctx, w, nil)
    frame[2], frame[3] = w[W.id], 'idle'
  end
  t[T.state], t[T.finished_ms], t[T.outcome] = 'cancelled', ctx.now, 'cancelled'
  frame[7] = waiting(ctx, t[T.service])
  count(ctx, t[T.service], C.cancelled)
  local odd = t[T.started_ms] ~= 0 and ctx.rules.integrity
  emit_ticket(ctx, 'ticket.cancelled', t, odd and signal(t, 'cancelled_in_service'), frame, w)
  schedule(ctx, t)
  return pack_moved(save_ticket(ctx, t))
end)

-- argv: ticket. Behind `return_after` waiting ones of its service.
command('return', function(ctx, argv)
  local t, refusal = find_ticket(ctx, argv[4], 'return')
  if refusal then return refusal end
  if t[T.returns] >= ctx.rules.calls.max_returns then
    return refuse('wrong_state', 'state', t[T.state], 'returns', t[T.returns])
  end
  t[T.state], t[T.returns] = 'waiting', t[T.returns] + 1
  t[T.score] = place_behind(ctx, 's:' .. t[T.service], ctx.rules.calls.return_after)
  enqueue(ctx, t)
  emit_ticket(ctx, 'ticket.returned', t, nil, {'return', '', '', t[T.no], t[T.service], 0, waiting(ctx, t[T.service])})
  schedule(ctx, t)
  return pack_moved(save_ticket(ctx, t))
end)

-- argv: ticket, priority, reason. Its place moves by the difference of the boosts; a ticket put first stays first.
command('reprioritise', function(ctx, argv)
  local t, refusal = find_ticket(ctx, argv[4], 'reprioritise')
  if refusal then return refusal end
  local boosts = ctx.rules.priorities
  if not boosts[argv[5]] then return refuse('validation', 'field', 'priority') end
  dequeue(ctx, t)
  if t[T.score] >= FIRST then
    t[T.score] = math.max(FIRST, t[T.score] + (boosts[t[T.priority]] or 0) - boosts[argv[5]])
  end
  t[T.priority] = argv[5]
  enqueue(ctx, t)
  emit_ticket(ctx, 'ticket.reprioritised', t, {'priority', argv[5], 'reason', argv[6]})
  return pack_moved(save_ticket(ctx, t))
end)

-- argv: ticket. Lets the next `return_after` of its service go first (at least one).
command('postpone', function(ctx, argv)
  local t, refusal = find_ticket(ctx, argv[4], 'postpone')
  if refusal then return refusal end
  local before = ahead(ctx, t)
  dequeue(ctx, t)
  t[T.score] = place_behind(ctx, 's:' .. t[T.service], before + math.max(1, ctx.rules.calls.return_after))
  enqueue(ctx, t)
  emit_ticket(ctx, 'ticket.postponed', t)
  return pack_moved(save_ticket(ctx, t))
end)

-- argv: service, reason
command('suspend', function(ctx, argv)
  if not ctx.rules.services[argv[4]] then return refuse('no_such_service') end
  if field(ctx, 'x:' .. argv[4]) then return refuse('wrong_state', 'state', 'suspended') end
  put(ctx, 'x:' .. argv[4], argv[5])
  emit(ctx, 'service.suspended', {'', 0, '', argv[4]}, {'reason', argv[5]})
  return {1, argv[4], true, argv[5]}
end)

-- argv: service
command('resume_service', function(ctx, argv)
  if not ctx.rules.services[argv[4]] then return refuse('no_such_service') end
  if not field(ctx, 'x:' .. argv[4]) then return refuse('wrong_state', 'state', 'open') end
  drop(ctx, 'x:' .. argv[4])
  emit(ctx, 'service.resumed', {'', 0, '', argv[4]})
  return {1, argv[4], false, ''}
end)
