-- Numbering and recording: one event per change, in the partition's stream, with the public frame when screens may
-- see it and the window's record when it changed. Field orders: domain/events.py Event, store/records.py BoardRecord.

local function packed_window(ctx, w)
  local id = w[W.id]
  ctx.packed[id] = ctx.packed[id] or pack_window(w)
  return ctx.packed[id]
end

-- `e`: the packed event, with the next `s`. `frame`: {k, window, state, ticket number, service, n, waiting} or nil; `w`: a
-- window's record or nil.
local function record(ctx, e, frame, w)
  local s = ctx.s + 1
  ctx.s = s
  local stream = ctx.keys[STREAM]
  if frame then
    local b = pack_board(
      ctx.hall, s, ctx.p, frame[1], ctx.now, frame[2] or '', frame[3] or '', frame[4] or '', frame[5] or '',
      frame[6] or 0, frame[7] or -1)
    ctx.p = s
    if w then
      call('XADD', stream, '*', 'e', e, 'b', b, 'w', packed_window(ctx, w))
    else
      call('XADD', stream, '*', 'e', e, 'b', b)
    end
  elseif w then
    call('XADD', stream, '*', 'e', e, 'w', packed_window(ctx, w))
  else
    call('XADD', stream, '*', 'e', e)
  end
end

-- `f`: {ticket, leg, window, service, staff, n, wait, walk, service_ms, held, due, unreliable}; absent = '' or 0.
-- `extra`: further fields as {name, value, ...}, or that packed, or nil.
local function emit(ctx, kind, f, extra, frame, w)
  record(ctx, pack_event(
    ctx.s + 1, kind, ctx.now, ctx.hall, ctx.day, f[1] or '', f[2] or 0, f[3] or '', f[4] or '', f[5] or '', ctx.actor,
    f[6] or 0, f[7] or 0, f[8] or 0, f[9] or 0, f[10] or 0, f[11] or 0, f[12] or false, extra), frame, w)
end

local function served_ms(t, now)
  if t[T.started_ms] == 0 then return 0 end
  local stop = t[T.finished_ms] ~= 0 and t[T.finished_ms] or t[T.hold_since_ms] ~= 0 and t[T.hold_since_ms] or now
  return math.max(0, stop - t[T.started_ms] - t[T.held_ms])
end

-- An event about a ticket's current leg.
local function emit_ticket(ctx, kind, t, extra, frame, w, due)
  t[T.events] = t[T.events] + 1
  local first, started = t[T.first_called_ms], t[T.started_ms]
  record(ctx, pack_event(
    ctx.s + 1, kind, ctx.now, ctx.hall, ctx.day, t[T.id], t[T.leg], t[T.window], t[T.service], t[T.staff], ctx.actor,
    t[T.events], first ~= 0 and math.max(0, first - t[T.queued_ms]) or 0,
    started ~= 0 and math.max(0, started - t[T.called_ms]) or 0,
    served_ms(t, ctx.now), t[T.held_ms], due or 0, math.floor(t[T.flags] / UNRELIABLE) % 2 == 1, extra),
    frame, w)
end

local function has(flags, bit) return math.floor(flags / bit) % 2 == 1 end

local function mark(t, bit)
  if not has(t[T.flags], bit) then t[T.flags] = t[T.flags] + bit end
end

-- A service's live counters, read once per command and written back with the hall's state.
local function counters(ctx, service)
  local c = ctx.k[service]
  if not c then
    local packed = field(ctx, 'k:' .. service)
    if packed and #packed >= 8 * COUNTERS then
      c = {from_numbers(COUNTERS_AS, packed)}
      c[COUNTERS + 1] = nil -- the place where reading ended
    else -- none yet, or written before the last counters were thought of
      c = packed and {from_numbers('<' .. string.rep('d', #packed / 8), packed)} or {}
      for i = packed and #c or 1, COUNTERS do c[i] = 0 end
    end
    ctx.k[service] = c
  end
  return c
end

-- How many wait for a service, for those who change nothing about it.
local function waiting_now(ctx, service)
  local c = ctx.k[service]
  if c then return c[C.waiting] end
  local packed = field(ctx, 'k:' .. service)
  return packed and #packed >= 8 * C.waiting and from_numbers('<d', packed, 8 * C.waiting - 7) or 0
end

local function count(ctx, service, field, by)
  local c = counters(ctx, service)
  c[field] = c[field] + (by or 1)
end

-- A window's session. One command may come to it more than once (a batch of deadlines, a call that finishes), so it is
-- read once and written back with the hall's state.
local function load_window(ctx, id)
  if not ctx.rules.windows[id] then return nil end
  local w = ctx.windows[id]
  if not w then
    local packed = field(ctx, 'w:' .. id)
    w = packed and record_of(packed) or {id, 'closed', '', '', {}, '', 0, '', 0, 0, 0, '', 0, 0, 0, 0, ''}
    if not w[W.pad] then w[W.rated_at_ms], w[W.rated_run], w[W.pad] = w[W.rated_at_ms] or 0, w[W.rated_run] or 0, '' end
    ctx.windows[id] = w
  end
  return w
end

local function save_window(ctx, w)
  ctx.saved[w[W.id]], ctx.packed[w[W.id]] = w, nil
end

-- Refusal of a command by a clerk who logged in for the window, once somebody else works there: what is done at a window
-- stands on record under the name of whoever works at it.
local function taken(ctx, w)
  if ctx.seated and w[W.state] ~= 'closed' and w[W.staff] ~= ctx.actor then
    return refuse('taken_over', 'staff', w[W.staff])
  end
end

local function wants_window(argv) return {'w:' .. argv[4]} end

local function wants_seated(ctx, argv, names)
  local w = load_window(ctx, argv[4])
  if w and w[W.ticket] ~= '' then names[#names + 1] = w[W.ticket] end
end
