-- Commands of a window about its ticket: call, recall, start, finish, miss, hold, unhold, transfer, undo.
local miss_ticket -- what later chapters use
do
local UNDO_MS = 15000
local MOST_LEGS = 100 -- of one visit: its record is kept, packed and answered whole

-- Remembers the ticket as it was, so that a finish or miss can be taken back. `events` tells later whether anything
-- happened to the ticket since.
local function remember_undo(ctx, w, what, before, t)
  put(ctx, 'u:' .. w[W.id], pack_undo(what, t[T.id], ctx.now, t[T.events], before))
end

-- Refusal of a leg that the visit was not issued with, at a service and a window ('' = any), else nil.
local function leg_refusal(ctx, t, service, bound)
  if not ctx.rules.services[service] then return refuse('no_such_service') end
  if bound ~= '' and not ctx.rules.windows[bound] then return refuse('no_such_window') end
  if t[T.leg] + #t[T.rest] >= MOST_LEGS then
    return refuse('wrong_state', 'state', t[T.state], 'legs', t[T.leg] + #t[T.rest])
  end
end

-- Ends the leg of the ticket being served; the next leg begins waiting: the one it is sent on to (`sent`, at window
-- `bound`), before those that are still to come, or the first of those. The prompt for the pad is set. Answers with the
-- packed record. The ticket comes as it was loaded.
local function finish_ticket(ctx, w, t, outcome, case, sent, bound)
  local before = ctx.tickets[t[T.id]]
  settle(ctx, t)
  check_clock(ctx, t)
  t[T.finished_ms], t[T.outcome] = ctx.now, outcome
  if case ~= '' then t[T.case] = case end -- the visit's, also when it goes on
  local service, leg, no = t[T.service], t[T.leg], t[T.no]
  local spent = served_ms(t, ctx.now)
  local c = counters(ctx, service)
  local short = is_short(ctx, c, spent)
  c[C.finished] = c[C.finished] + 1
  if not has(t[T.flags], UNRELIABLE) then
    c[C.wait_sum_ms] = c[C.wait_sum_ms] + t[T.first_called_ms] - t[T.queued_ms]
    c[C.service_sum_ms] = c[C.service_sum_ms] + spent
    -- What waits are told from. One press by mistake must not make it minutes for hundreds of people: the first service
    -- is one eighth like any other, and what is marked short teaches nothing; the day's first ones, never marked, do.
    local mean = c[C.mean_ms] == 0 and UNKNOWN_MEAN_MS or c[C.mean_ms]
    if not short then c[C.mean_ms] = math.max(1, math.floor(mean + (spent - mean) / 8)) end
  end
  local until_ms = ctx.now + ctx.rules.rating.window
  w[W.rate_ticket], w[W.rate_leg], w[W.rate_until_ms] = t[T.id], leg, until_ms
  seat(ctx, w, nil)
  due(ctx, 'r ' .. ctx.hall .. ' ' .. t[T.id] .. ' ' .. leg, until_ms)
  local following = sent or t[T.rest][1]
  if following and not sent then t[T.rest] = {unpack(t[T.rest], 2)} end
  t[T.state] = 'finished'
  local extra, frame = {'outcome', outcome}, {'finish', w[W.id], 'idle', no, service}
  if case ~= '' then extra[3], extra[4] = 'case', case end
  if short then signal(t, 'short_service', extra) end
  if is_sent_back(ctx, w, service, sent, bound) then signal(t, 'reissued', extra) end
  if following then
    extra[#extra + 1], extra[#extra + 2] = 'next_service', following
  end
  if sent then extra[#extra + 1], extra[#extra + 2] = 'sent_on', true end
  if sent and bound ~= '' then extra[#extra + 1], extra[#extra + 2] = 'to_window', bound end
  local finished = {
    t[T.id], leg, t[T.window], service, t[T.staff], t[T.events] + 1, t[T.first_called_ms] - t[T.queued_ms],
    t[T.started_ms] - t[T.called_ms], spent, t[T.held_ms], 0, has(t[T.flags], UNRELIABLE),
  }
  t[T.events] = t[T.events] + 2
  if following then
    next_leg(ctx, t, outcome, following, sent and bound or '')
    t[T.arrival_ms], t[T.score] = ctx.now, arrival(ctx, ctx.now, t[T.priority])
    enqueue(ctx, t)
    frame[5], frame[7] = following, waiting(ctx, following)
  end
  emit(ctx, 'ticket.finished', finished, #extra == 2 and pack_finish_told(outcome) or extra, frame, w)
  emit(ctx, 'rating.prompted', {t[T.id], leg, w[W.id], service, finished[5], finished[6] + 1},
    pack_prompt_told(until_ms))
  if outcome == 'accepted' and case ~= '' then accept_case(ctx, case, service, t, leg, w[W.id], finished[5]) end
  schedule(ctx, t)
  remember_undo(ctx, w, 'finish', before, t)
  return save_ticket(ctx, t)
end

local function serves(w, service)
  for _, s in ipairs(w[W.services]) do
    if s == service then return true end
  end
  return false
end

-- The call just recorded is among those that screens show.
local function show_call(ctx, w, t)
  ctx.shown[#ctx.shown + 1] = pack_shown_call(ctx.s, t[T.no], w[W.id], t[T.service], t[T.calls], ctx.now)
end

-- argv: window, ticket ('' = whoever is next), finish (1 = the one in service is finished first)
command('call', function(ctx, argv)
  local w = load_window(ctx, argv[4])
  if not w then return refuse('no_such_window') end
  if w[W.state] == 'closed' then return refuse('window_not_open') end
  if taken(ctx, w) then return taken(ctx, w) end
  if w[W.state] == 'paused' then return refuse('wrong_state', 'state', 'paused') end
  local current
  if w[W.ticket] ~= '' then
    if argv[6] ~= '1' then return refuse('window_busy', 'ticket', string.match(w[W.ticket], '-(.*)$')) end
    current = load_ticket(ctx, w[W.ticket])
    local refusal = forbidden_move('finish', current)
    if refusal then return refusal end
  end
  local t, refusal
  if argv[5] ~= '' then
    t, refusal = find_ticket(ctx, argv[5], 'call')
    if refusal then return refusal end
    if t[T.bound] ~= w[W.id] and not serves(w, t[T.service]) then
      return refuse('wrong_state', 'state', t[T.state], 'service', t[T.service])
    end
  end

  local finished = current and finish_ticket(ctx, w, current, 'done', '') or false
  local found
  if not t then
    local id
    id, found = next_for(ctx, w)
    if not id then return pack_called(false, finished) end
    t = load_ticket(ctx, id)
  end
  check_clock(ctx, t)
  settle(ctx, t)
  if t[T.state] == 'waiting' then dequeue(ctx, t, found) end
  t[T.state], t[T.window], t[T.staff], t[T.bound] = 'called', w[W.id], w[W.staff], ''
  if t[T.first_called_ms] == 0 then t[T.first_called_ms] = ctx.now end
  t[T.called_ms], t[T.calls] = ctx.now, t[T.calls] + 1
  seat(ctx, w, t)
  local c = counters(ctx, t[T.service])
  c[C.called] = c[C.called] + 1
  emit_ticket(ctx, 'ticket.called', t, nil,
    {'call', w[W.id], 'called', t[T.no], t[T.service], t[T.calls], c[C.waiting]}, w)
  show_call(ctx, w, t)
  schedule(ctx, t)
  return pack_called(save_ticket(ctx, t), finished)
end, wants_queues, wants_seated)

-- argv: window. At most max_calls times, and as often again after each return.
command('recall', function(ctx, argv)
  local w, t, refusal = at_window(ctx, argv, 'recall')
  if refusal then return refusal end
  if t[T.calls] >= ctx.rules.calls.max * (1 + t[T.returns]) then
    return refuse('wrong_state', 'state', t[T.state], 'calls', t[T.calls])
  end
  t[T.called_ms], t[T.calls] = ctx.now, t[T.calls] + 1
  seat(ctx, w, t)
  count(ctx, t[T.service], C.recalled)
  local odd = is_called_often(ctx, t) and signal(t, 'many_recalls')
  emit_ticket(ctx, 'ticket.recalled', t, odd, {'recall', w[W.id], 'called', t[T.no], t[T.service], t[T.calls]}, w)
  show_call(ctx, w, t)
  schedule(ctx, t)
  return pack_moved(save_ticket(ctx, t))
end, wants_window, wants_seated)

-- argv: window. The prompt of the one before ends: the next citizen sits at the pad now.
command('start', function(ctx, argv)
  local w, t, refusal = at_window(ctx, argv, 'start')
  if refusal then return refusal end
  t[T.state], t[T.started_ms] = 'serving', ctx.now
  w[W.rate_ticket], w[W.rate_leg], w[W.rate_until_ms] = '', 0, 0
  seat(ctx, w, t)
  emit_ticket(ctx, 'ticket.started', t, nil, {'start', w[W.id], 'serving', t[T.no], t[T.service]}, w)
  schedule(ctx, t)
  return pack_moved(save_ticket(ctx, t))
end, wants_window, wants_seated)

-- argv: window, outcome, case, service and window of the leg to which the visit is sent on ('' both = as it was issued;
-- the window alone = the same service there)
command('finish', function(ctx, argv)
  local w, t, refusal = at_window(ctx, argv, 'finish')
  refusal = refusal or case_refusal(ctx, argv[5], argv[6])
  if refusal then return refusal end
  local sent, bound = argv[7] ~= '' and argv[7] or argv[8] ~= '' and t[T.service] or nil, argv[8]
  refusal = sent and leg_refusal(ctx, t, sent, bound)
  if refusal then return refusal end
  return pack_moved(finish_ticket(ctx, w, t, argv[5], argv[6], sent, bound))
end, wants_window, wants_seated)

-- The ticket comes as it was loaded; answers with the packed record.
function miss_ticket(ctx, w, t)
  local before = ctx.tickets[t[T.id]]
  check_clock(ctx, t)
  t[T.state] = 'missed'
  seat(ctx, w, nil)
  count(ctx, t[T.service], C.missed)
  emit_ticket(ctx, 'ticket.missed', t, nil, {'miss', w[W.id], 'idle', t[T.no], t[T.service]}, w)
  schedule(ctx, t)
  remember_undo(ctx, w, 'miss', before, t)
  return save_ticket(ctx, t)
end

-- argv: window
command('miss', function(ctx, argv)
  local w, t, refusal = at_window(ctx, argv, 'miss')
  if refusal then return refusal end
  return pack_moved(miss_ticket(ctx, w, t))
end, wants_window, wants_seated)

-- argv: window, reason. The clock of the service stops until unhold.
command('hold', function(ctx, argv)
  local w, t, refusal = at_window(ctx, argv, 'hold')
  if refusal then return refusal end
  settle(ctx, t)
  t[T.state], t[T.hold_since_ms] = 'held', ctx.now
  seat(ctx, w, nil)
  emit_ticket(ctx, 'ticket.held', t, {'reason', argv[5]}, {'hold', w[W.id], 'idle', t[T.no], t[T.service]}, w)
  schedule(ctx, t)
  return pack_moved(save_ticket(ctx, t))
end, wants_window, wants_seated)

-- argv: window, ticket. At any window of its service; one held before its service began begins it now.
command('unhold', function(ctx, argv)
  local w = load_window(ctx, argv[4])
  if not w then return refuse('no_such_window') end
  if taken(ctx, w) then return taken(ctx, w) end
  local t, refusal = find_ticket(ctx, argv[5], 'unhold')
  if refusal then return refusal end
  if w[W.state] == 'closed' then return refuse('window_not_open') end
  if w[W.ticket] ~= '' then return refuse('window_busy', 'ticket', string.match(w[W.ticket], '-(.*)$')) end
  if w[W.state] ~= 'idle' then return refuse('wrong_state', 'state', w[W.state]) end
  if t[T.window] ~= w[W.id] and not serves(w, t[T.service]) then
    return refuse('wrong_state', 'state', t[T.state], 'service', t[T.service])
  end
  if t[T.started_ms] == 0 then
    t[T.started_ms] = ctx.now
  else
    t[T.held_ms] = t[T.held_ms] + math.max(0, ctx.now - t[T.hold_since_ms])
  end
  t[T.state], t[T.hold_since_ms], t[T.window], t[T.staff] = 'serving', 0, w[W.id], w[W.staff]
  w[W.rate_ticket], w[W.rate_leg], w[W.rate_until_ms] = '', 0, 0
  seat(ctx, w, t)
  emit_ticket(ctx, 'ticket.unheld', t, nil, {'unhold', w[W.id], 'serving', t[T.no], t[T.service]}, w)
  schedule(ctx, t)
  return pack_moved(save_ticket(ctx, t))
end, wants_window, wants_seated)

-- argv: window, service, to window, position. The leg ends here: not counted as served, not rateable.
command('transfer', function(ctx, argv)
  local w, t, refusal = at_window(ctx, argv, 'transfer')
  if refusal then return refusal end
  local service, bound, position = argv[5], argv[6], argv[7]
  if service == '' and bound == '' then return refuse('validation', 'field', 'service') end
  if service == '' then service = t[T.service] end
  refusal = leg_refusal(ctx, t, service, bound)
  if refusal then return refusal end
  settle(ctx, t)
  check_clock(ctx, t)
  if t[T.started_ms] ~= 0 then t[T.finished_ms] = ctx.now end
  seat(ctx, w, nil)
  local extra = {'next_service', service}
  if bound ~= '' then extra[3], extra[4] = 'to_window', bound end
  local ended = {
    t[T.id], t[T.leg], t[T.window], t[T.service], t[T.staff], t[T.events] + 1, t[T.first_called_ms] - t[T.queued_ms],
    t[T.started_ms] ~= 0 and t[T.started_ms] - t[T.called_ms] or 0, served_ms(t, ctx.now), t[T.held_ms], 0,
    has(t[T.flags], UNRELIABLE),
  }
  t[T.events] = t[T.events] + 1
  next_leg(ctx, t, 'transferred', service, bound)
  local queue = bound ~= '' and 'w:' .. bound or 's:' .. service
  if position == 'first' then
    t[T.score] = first_place(ctx, queue)
  elseif position == 'last' then
    t[T.score] = last_place(ctx, queue)
  else
    t[T.score] = arrival(ctx, t[T.arrival_ms], t[T.priority])
  end
  enqueue(ctx, t)
  emit(ctx, 'ticket.transferred', ended, extra,
    {'transfer', w[W.id], 'idle', t[T.no], service, 0, waiting(ctx, service)}, w)
  schedule(ctx, t)
  return pack_moved(save_ticket(ctx, t))
end, wants_window, wants_seated)

-- argv: window. Takes back the last finish or miss here, within 15 s, if nothing followed. What time or a citizen
-- recorded meanwhile would count as something that followed; what the finish itself flagged stays flagged.
command('undo', function(ctx, argv)
  local w = load_window(ctx, argv[4])
  if not w then return refuse('no_such_window') end
  if w[W.state] == 'closed' then return refuse('window_not_open') end
  if taken(ctx, w) then return taken(ctx, w) end
  local kept = field(ctx, 'u:' .. w[W.id])
  local undo = kept and unpack_(kept)
  local now_t = undo and load_ticket(ctx, undo[2])
  if w[W.state] ~= 'idle' or not undo or not now_t or ctx.now - undo[3] > UNDO_MS or w[W.since_ms] ~= undo[3]
    or now_t[T.events] ~= undo[4] then
    return refuse('wrong_state', 'state', w[W.state])
  end
  local t = unpack_(undo[5])
  local case = undo[1] == 'finish' and accepted_by(ctx, now_t, t[T.leg], undo[3])
  if case and case[P.state] ~= 'accepted' then return refuse('wrong_state', 'what', 'case', 'state', case[P.state]) end
  if case then withdraw_case(ctx, case) end
  if undo[1] == 'finish' then
    local leg_flags = now_t[T.leg] == t[T.leg] and now_t[T.flags] or now_t[T.legs][t[T.leg]][L.flags]
    for _, bit in ipairs({SERVICE_WARNED, SERVICE_OVER}) do
      if has(leg_flags, bit) then mark(t, bit) end
    end
    due(ctx, 'r ' .. ctx.hall .. ' ' .. t[T.id] .. ' ' .. t[T.leg])
    w[W.rate_ticket], w[W.rate_leg], w[W.rate_until_ms] = '', 0, 0
    local c, spent = counters(ctx, t[T.service]), undo[3] - t[T.started_ms] - t[T.held_ms]
    c[C.finished] = c[C.finished] - 1
    if not has(leg_flags, UNRELIABLE) then
      c[C.wait_sum_ms] = c[C.wait_sum_ms] - (t[T.first_called_ms] - t[T.queued_ms])
      c[C.service_sum_ms] = c[C.service_sum_ms] - spent
    end
  else
    count(ctx, t[T.service], C.missed, -1)
  end
  local frame = {'window', w[W.id], t[T.state], t[T.no], '', t[T.calls]}
  if now_t[T.state] == 'waiting' then
    dequeue(ctx, now_t)
    frame[5], frame[7] = now_t[T.service], waiting(ctx, now_t[T.service])
  end
  t[T.events] = now_t[T.events]
  seat(ctx, w, t)
  local extra = {'undid', undo[1]}
  if undo[1] == 'finish' and ctx.rules.integrity then signal(t, 'undone_before_rating', extra) end
  emit_ticket(ctx, 'ticket.undone', t, extra, frame, w)
  schedule(ctx, t)
  return pack_moved(save_ticket(ctx, t))
end, wants_window, wants_seated)
end
