-- What several commands share: entering a queue, leaving a leg, deadlines, overtime, the window beside its ticket.

-- Refusal when MOVES does not allow the command in the ticket's state, else nil.
local function forbidden_move(name, t)
  if not MOVES[name][t[T.state]] then return refuse('wrong_state', 'state', t[T.state]) end
end

local function limit_of(ctx, service)
  local rules = ctx.rules.services[service]
  return rules and rules.limit or 0
end

-- What of the time a service was held does not count towards its limit, by the hall's rule.
local function spared_ms(ctx, t) return ctx.rules.overtime.count_holds and 0 or t[T.held_ms] end

-- How much of its limit a service has used.
local function used_ms(ctx, t)
  if not ctx.rules.overtime.count_holds or t[T.started_ms] == 0 then return served_ms(t, ctx.now) end
  return math.max(0, (t[T.finished_ms] ~= 0 and t[T.finished_ms] or ctx.now) - t[T.started_ms])
end

-- Whether the clock of a service's limit runs.
local function is_limited(ctx, t)
  return t[T.state] == 'serving' or (t[T.state] == 'held' and t[T.started_ms] ~= 0 and ctx.rules.overtime.count_holds)
end

-- One deadline per ticket: the next instant at which time decides something about it. Sweep asks what that is.
local function schedule(ctx, t)
  local state, at = t[T.state], nil
  if state == 'waiting' and t[T.first_called_ms] == 0 then
    local rules = ctx.rules.services[t[T.service]]
    local limit = rules and rules.wait or 0
    if limit > 0 and not has(t[T.flags], WAIT_OVER) then
      local warned = has(t[T.flags], WAIT_WARNED)
      at = t[T.queued_ms] + (warned and limit + 1 or math.floor(limit * ctx.rules.overtime.warn_at))
    end
  elseif state == 'called' and ctx.rules.calls.miss_after > 0 then
    at = t[T.called_ms] + ctx.rules.calls.miss_after
  elseif is_limited(ctx, t) then
    local limit = limit_of(ctx, t[T.service])
    if limit > 0 and not has(t[T.flags], SERVICE_OVER) then
      local warned = has(t[T.flags], SERVICE_WARNED)
      local after = warned and limit + 1 or math.floor(limit * ctx.rules.overtime.warn_at)
      at = t[T.started_ms] + spared_ms(ctx, t) + after
    end
  end
  due(ctx, 't ' .. ctx.hall .. ' ' .. t[T.id], at)
end

local function overtime(ctx, t, what, flag, spent, limit, due, reviewed)
  mark(t, flag)
  count(ctx, t[T.service], flag == WAIT_OVER and C.overtime_wait or C.overtime_service)
  emit_ticket(ctx, 'overtime.' .. what, t, {'limit_ms', limit},
    {'overtime', t[T.state] == 'waiting' and '' or t[T.window], '', t[T.no], t[T.service]}, nil, due)
  if reviewed then
    local said = {'spent_ms', spent, 'limit_ms', limit}
    open_review(ctx, what == 'service' and 'overtime' or 'wait', {
      window = t[T.window], service = t[T.service], staff = t[T.staff], leg = t[T.leg],
      service_ms = served_ms(t, ctx.now), more = said, told = said,
    }, t)
  end
end

-- Flags a wait or service that is over its limit now and was not flagged yet; sweep and every command that ends a wait
-- or a service come through here, so each is flagged exactly once, however late time's own look comes.
local function settle(ctx, t)
  local state = t[T.state]
  if state == 'waiting' and t[T.first_called_ms] == 0 and not has(t[T.flags], WAIT_OVER) then
    local rules = ctx.rules.services[t[T.service]]
    local limit = rules and rules.wait or 0
    local spent = ctx.now - t[T.queued_ms]
    if limit > 0 and spent > limit then
      overtime(ctx, t, 'wait', WAIT_OVER, spent, limit, t[T.queued_ms] + limit, ctx.rules.overtime.wait_review)
    end
  elseif t[T.started_ms] ~= 0 and (state == 'serving' or state == 'held') and not has(t[T.flags], SERVICE_OVER) then
    local limit, spent = limit_of(ctx, t[T.service]), used_ms(ctx, t)
    if limit > 0 and spent > limit then
      overtime(ctx, t, 'service', SERVICE_OVER, spent, limit, t[T.started_ms] + spared_ms(ctx, t) + limit, true)
    end
  end
end

-- Puts the window beside its ticket, or (without one) back to idle.
local function seat(ctx, w, t)
  w[W.state] = t and t[T.state] or 'idle'
  w[W.ticket] = t and t[T.id] or ''
  w[W.leg] = t and t[T.leg] or 0
  w[W.service] = t and t[T.service] or ''
  w[W.since_ms] = t and (t[T.started_ms] ~= 0 and t[T.started_ms] or t[T.called_ms]) or ctx.now
  w[W.limit_ms] = t and limit_of(ctx, t[T.service]) or 0
  w[W.held_ms] = t and spared_ms(ctx, t) or 0
  save_window(ctx, w)
end

local function check_clock(ctx, t)
  if t[T.clock] ~= ctx.clock then mark(t, UNRELIABLE) end
end

-- Closes the current leg into the ticket's history and begins the next one, waiting in its queue.
local function next_leg(ctx, t, outcome, service, bound)
  t[T.legs][#t[T.legs] + 1] = {
    t[T.service], t[T.window], t[T.staff], t[T.queued_ms], t[T.first_called_ms], t[T.called_ms], t[T.started_ms],
    t[T.finished_ms], t[T.calls], t[T.held_ms], t[T.flags], outcome, t[T.rating],
  }
  t[T.leg], t[T.service], t[T.bound], t[T.window], t[T.staff] = t[T.leg] + 1, service, bound, '', ''
  t[T.state], t[T.queued_ms] = 'waiting', ctx.now
  for _, field in ipairs({
    T.first_called_ms, T.called_ms, T.started_ms, T.finished_ms, T.calls, T.held_ms, T.hold_since_ms, T.returns, T.flags,
  }) do
    t[field] = 0
  end
  t[T.clock], t[T.rating], t[T.outcome] = ctx.clock, false, ''
end

-- The window of a command and the ticket at it. With `states`, a ticket in one of MOVES[name]'s states is demanded.
local function at_window(ctx, argv, name)
  local w = load_window(ctx, argv[4])
  if not w then return nil, nil, refuse('no_such_window') end
  if w[W.state] == 'closed' then return nil, nil, refuse('window_not_open') end
  if taken(ctx, w) then return nil, nil, taken(ctx, w) end
  if w[W.ticket] == '' then return nil, nil, refuse('wrong_state', 'state', w[W.state]) end
  local t = load_ticket(ctx, w[W.ticket])
  local refusal = forbidden_move(name, t)
  if refusal then return nil, nil, refusal end
  return w, t
end

local function find_ticket(ctx, name, move)
  local t = load_ticket(ctx, name)
  if not t then return nil, refuse('not_found', 'what', 'ticket') end
  return t, move and forbidden_move(move, t)
end
