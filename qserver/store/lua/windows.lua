-- Commands of a window without a ticket: open, close, pause, resume.

local close_window -- what later chapters use
do
local function open_count(ctx, w, by)
  for _, service in ipairs(w[W.services]) do
    if ctx.rules.services[service] then count(ctx, service, C.open_windows, by) end
  end
end

local function counts_as_open(state) return state ~= 'closed' and state ~= 'paused' end

local function emit_window(ctx, kind, w, extra, staff)
  emit(ctx, kind, {'', 0, w[W.id], '', staff or w[W.staff]}, extra, {'window', w[W.id], w[W.state]}, w)
end

-- Closes a window without a ticket; the event still names who worked there.
function close_window(ctx, w)
  local staff = w[W.staff]
  if counts_as_open(w[W.state]) then open_count(ctx, w, -1) end
  w[W.state], w[W.reason], w[W.since_ms], w[W.staff], w[W.services] = 'closed', '', ctx.now, '', {}
  save_window(ctx, w)
  emit_window(ctx, 'window.closed', w, nil, staff)
end

local function window_for(ctx, argv, name)
  local w = load_window(ctx, argv[4])
  if not w then return nil, refuse('no_such_window') end
  if name ~= 'open' and taken(ctx, w) then return nil, taken(ctx, w) end
  if WINDOW_MOVES[name][w[W.state]] then return w end
  if w[W.state] == 'closed' then return nil, refuse('window_not_open') end
  if w[W.ticket] ~= '' then return nil, refuse('window_busy') end
  return nil, refuse('wrong_state', 'state', w[W.state])
end

-- argv: window, staff, 1 when services follow, services... Opening an open window again with other staff takes it over.
command('open', function(ctx, argv)
  local w, refusal = window_for(ctx, argv, 'open')
  if refusal then return refusal end
  local services = {}
  for i = 7, #argv do
    if not ctx.rules.services[argv[i]] then return refuse('no_such_service') end
    services[#services + 1] = argv[i]
  end
  local was = w[W.state]
  if argv[6] == '0' then services = was == 'closed' and ctx.rules.windows[argv[4]].services or w[W.services] end
  local staff = argv[5] ~= '' and argv[5] or (was ~= 'closed' and w[W.staff] or '')
  local other = was ~= 'closed' and staff ~= w[W.staff]
  local before = w[W.staff]
  if other then drop(ctx, 'u:' .. w[W.id]) end -- nobody takes back what somebody else did
  if counts_as_open(was) then open_count(ctx, w, -1) end
  w[W.staff], w[W.services] = staff, services
  if was == 'closed' or was == 'paused' then w[W.state], w[W.reason], w[W.since_ms] = 'idle', '', ctx.now end
  open_count(ctx, w, 1)
  save_window(ctx, w)
  local shown
  if w[W.ticket] ~= '' then
    local t = load_ticket(ctx, w[W.ticket])
    t[T.staff] = staff
    save_ticket(ctx, t)
    shown = t[T.no]
  end
  local extra = {'services', services}
  if other then extra = {'services', services, 'from_staff', before} end
  emit(ctx, other and 'window.taken_over' or 'window.opened', {'', 0, w[W.id], '', staff}, extra,
    {'window', w[W.id], w[W.state], shown or ''}, w)
  return {1, w, ctx.rules.windows[w[W.id]].name}
end, wants_window)

-- argv: window
command('close', function(ctx, argv)
  local w, refusal = window_for(ctx, argv, 'close')
  if refusal then return refusal end
  close_window(ctx, w)
  return {1, w, ctx.rules.windows[w[W.id]].name}
end, wants_window)

-- argv: window, reason
command('pause', function(ctx, argv)
  local w, refusal = window_for(ctx, argv, 'pause')
  if refusal then return refusal end
  open_count(ctx, w, -1)
  w[W.state], w[W.reason], w[W.since_ms] = 'paused', argv[5], ctx.now
  save_window(ctx, w)
  emit_window(ctx, 'window.paused', w, {'reason', argv[5]})
  return {1, w, ctx.rules.windows[w[W.id]].name}
end, wants_window)

-- argv: window
command('resume', function(ctx, argv)
  local w, refusal = window_for(ctx, argv, 'resume')
  if refusal then return refusal end
  w[W.state], w[W.reason], w[W.since_ms] = 'idle', '', ctx.now
  open_count(ctx, w, 1)
  save_window(ctx, w)
  emit_window(ctx, 'window.resumed', w)
  return {1, w, ctx.rules.windows[w[W.id]].name}
end, wants_window)
end
