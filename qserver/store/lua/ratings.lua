-- Ratings: one per finished leg, the first accepted one wins. Each item gets its own result; a batch is one step.

local SKEW_MS = 5000 -- a device's stopwatch may run this much fast before its age is not believed

local function rated_leg(t, number)
  if number == t[T.leg] then
    if t[T.state] ~= 'finished' then return nil end
    return {
      service = t[T.service], window = t[T.window], staff = t[T.staff], finished = t[T.finished_ms],
      rating = t[T.rating], put = function(rating) t[T.rating] = rating end, mark = function(bit) mark(t, bit) end,
    }
  end
  local leg = t[T.legs][number]
  if not leg or leg[L.outcome] == 'transferred' then return nil end
  return {
    service = leg[L.service], window = leg[L.window], staff = leg[L.staff], finished = leg[L.finished_ms],
    rating = leg[L.rating], put = function(rating) leg[L.rating] = rating end,
    mark = function(bit)
      if not has(leg[L.flags], bit) then leg[L.flags] = leg[L.flags] + bit end
    end,
  }
end

-- Ends the pad's prompt for this leg, if it is still up.
local function end_prompt(ctx, window, ticket, leg)
  local w = window ~= '' and load_window(ctx, window)
  if w and w[W.rate_ticket] == ticket and w[W.rate_leg] == leg then
    w[W.rate_ticket], w[W.rate_leg], w[W.rate_until_ms] = '', 0, 0
    save_window(ctx, w)
    return w
  end
end

-- item: {rid, ticket, leg, score, age_ms, aspects, reasons, comment}
local function rate(ctx, window, item)
  local rid, number, score, age = item[1], item[3], item[4], item[5]
  local t = load_ticket(ctx, item[2])
  if not t then return {rid, 'rejected', 'not_found'} end
  local leg = rated_leg(t, number)
  if not leg then return {rid, 'rejected', 'wrong_state'} end
  if window ~= '' and leg.window ~= window then return {rid, 'rejected', 'forbidden'} end
  if score < 1 or score > 5 then return {rid, 'rejected', 'validation'} end
  if leg.rating then
    return {rid, leg.rating[4] == rid and leg.rating[1] == score and 'duplicate' or 'conflict', ''}
  end
  local at = ctx.now - age
  if age < 0 or at < leg.finished - SKEW_MS then return {rid, 'rejected', 'validation'} end
  at = math.max(at, leg.finished)
  local in_time = at <= leg.finished + ctx.rules.rating.window
  if (window ~= '' and not in_time) or ctx.now > after_span(ctx.rules, leg.finished, ctx.rules.rating.late) then
    return {rid, 'rejected', 'wrong_state'}
  end
  local source = window ~= '' and 'active' or 'active_late'
  leg.put({score, source, at, rid})
  call('ZREM', ctx.keys[DUE], 'r ' .. ctx.hall .. ' ' .. t[T.id] .. ' ' .. number)
  count(ctx, leg.service, C.rated)
  if score <= 2 then count(ctx, leg.service, C.negative) end
  t[T.events] = t[T.events] + 1
  local extra = {
    'score', score, 'source', source, 'rid', rid, 'rated_ms', at, 'aspects', item[6], 'reasons', item[7],
    'comment', item[8],
  }
  if is_burst(ctx, window, at) then
    leg.mark(SIGNALS.rating_burst)
    extra[#extra + 1], extra[#extra + 2] = 'signals', {'rating_burst'}
  end
  emit(ctx, 'rating.recorded', {t[T.id], number, leg.window, leg.service, leg.staff, t[T.events]}, extra, nil,
    end_prompt(ctx, leg.window, t[T.id], number))
  day_changed(ctx, t[T.id])
  if score <= 2 then
    open_review(ctx, 'rating', {
      window = leg.window, service = leg.service, staff = leg.staff, leg = number,
      more = {'score', score, 'reasons', item[7], 'comment', item[8]},
    }, t)
  end
  save_ticket(ctx, t)
  return {rid, 'recorded', ''}
end

-- argv: window ('' = by the ticket's link), packed items
command('rate', function(ctx, argv)
  local results = {}
  for i, item in ipairs(unpack_(argv[5])) do results[i] = rate(ctx, argv[4], item) end
  return {1, results, ctx.now}
end)
