-- Ratings: one per finished leg, the first accepted one wins. Each item gets its own result; a batch is one step.
local rated_leg, end_prompt -- what later chapters use; a library has room for 200 names
do
local SKEW_MS = 5000 -- a device's stopwatch may run this much fast before its age is not believed

function rated_leg(t, number)
  if number == t[T.leg] then
    if t[T.state] ~= 'finished' then return nil end
    return {
      service = t[T.service], window = t[T.window], staff = t[T.staff], finished = t[T.finished_ms],
      flags = t[T.flags], rating = t[T.rating], put = function(rating) t[T.rating] = rating end,
      mark = function(bit) mark(t, bit) end,
    }
  end
  local leg = t[T.legs][number]
  if not leg or leg[L.outcome] == 'transferred' then return nil end
  return {
    service = leg[L.service], window = leg[L.window], staff = leg[L.staff], finished = leg[L.finished_ms],
    flags = leg[L.flags], rating = leg[L.rating], put = function(rating) leg[L.rating] = rating end,
    mark = function(bit)
      if not has(leg[L.flags], bit) then leg[L.flags] = leg[L.flags] + bit end
    end,
  }
end

-- Ends the pad's prompt for this leg, if it is still up.
function end_prompt(ctx, window, ticket, leg)
  local w = window ~= '' and load_window(ctx, window)
  if w and w[W.rate_ticket] == ticket and w[W.rate_leg] == leg then
    w[W.rate_ticket], w[W.rate_leg], w[W.rate_until_ms] = '', 0, 0
    save_window(ctx, w)
    return w
  end
end

-- When something was, which a device says was `age` ms ago at a leg's prompt; nil when it says what cannot be.
local function told_ms(ctx, leg, age)
  local at = ctx.now - age
  if age < 0 or at < leg.finished - SKEW_MS then return nil end
  return math.max(at, leg.finished)
end

-- What stands in the way of another rating, after the result's code: the rid (a pad's own; others' are not told), the
-- source and the instant of the rating that stands.
local function standing(rid, score, rating)
  local own = rating[4] == rid
  if own and rating[1] == score then return {rid, 'duplicate', ''} end
  return {rid, 'conflict', own and 'other_score' or 'already_rated', rating[2] == 'active' and rating[4] or '',
    rating[2], rating[3]}
end

-- Which list of indicators and reasons was in force at an instant.
local function form_at(ctx, at)
  local forms = ctx.rules.forms or {}
  for i = #forms, 1, -1 do
    if forms[i][1] <= at or i == 1 then return forms[i][2] end
  end
  return ''
end

-- item: {rid, ticket, leg, score, age_ms, aspects, reasons, comment, number}; device: '' when it did not sign
local function rate(ctx, window, device, item)
  local rid, number, score, age = item[1], item[3], item[4], item[5]
  local t = load_ticket(ctx, item[2])
  if not t then return {rid, 'rejected', 'not_found'} end
  local leg = rated_leg(t, number)
  if not leg then return {rid, 'rejected', 'wrong_state'} end
  if window ~= '' and leg.window ~= window then return {rid, 'rejected', 'forbidden'} end
  if score < 1 or score > 5 then return {rid, 'rejected', 'validation'} end
  if leg.rating then return standing(rid, score, leg.rating) end
  local at = told_ms(ctx, leg, age)
  if not at then return {rid, 'rejected', 'validation'} end
  local in_time = at <= leg.finished + ctx.rules.rating.window
  if (window ~= '' and not in_time) or ctx.now > after_span(ctx.rules, leg.finished, ctx.rules.rating.late) then
    return {rid, 'rejected', 'wrong_state'}
  end
  local source = window ~= '' and 'active' or 'active_late'
  leg.put({score, source, at, rid})
  due(ctx, 'r ' .. ctx.hall .. ' ' .. t[T.id] .. ' ' .. number)
  count(ctx, leg.service, C.rated)
  if score <= 2 then count(ctx, leg.service, C.negative) end
  t[T.events] = t[T.events] + 1
  local extra = {
    'score', score, 'source', source, 'rid', rid, 'rated_ms', at, 'aspects', item[6], 'reasons', item[7],
    'comment', item[8], 'form', form_at(ctx, at),
  }
  local function more(name, value) extra[#extra + 1], extra[#extra + 2] = name, value end
  local signed, signals = item[9] > 0 and device or '', {}
  if signed ~= '' then
    more('device', device)
    more('number', item[9])
  end
  if is_burst(ctx, window, at) then signals[1] = 'rating_burst' end
  local w = window ~= '' and load_window(ctx, window)
  local doubt = w and doubt_pad(ctx, w, signed, item[9])
  if doubt and ctx.rules.integrity then
    signals[#signals + 1] = 'doubtful_pad'
    count(ctx, leg.service, C.doubtful)
    more('doubt', doubt)
  end
  for _, name in ipairs(signals) do leg.mark(SIGNALS[name]) end
  if #signals > 0 then more('signals', signals) end
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

-- The pad says that it asked: {ticket, leg, age_ms, signed}. Recorded once per finish, as an event of the prompt and not
-- of the ticket, so that a finish by mistake can still be undone after the pad has shown its question.
local function shown(ctx, window, device, said)
  local t = load_ticket(ctx, said[1])
  local leg = t and rated_leg(t, said[2])
  local at = leg and leg.window == window and told_ms(ctx, leg, said[3])
  if not at or at > leg.finished + ctx.rules.rating.window then return 'rejected' end
  if has(leg.flags, SHOWN) then return 'duplicate' end
  leg.mark(SHOWN)
  count(ctx, leg.service, C.shown)
  local extra = {'shown_ms', at}
  if said[4] then extra[3], extra[4] = 'device', device end
  emit(ctx, 'rating.shown', {t[T.id], said[2], leg.window, leg.service, leg.staff, ctx.s + 1}, extra)
  save_ticket(ctx, t)
  return 'recorded'
end

-- argv: window ('' = by the ticket's link), items, device, prompts that were shown. Those first: the record
-- then tells asking before answering.
command('rate', function(ctx, argv)
  local results, seen = {}, {}
  for i, said in ipairs(argv[7]) do seen[i] = shown(ctx, argv[4], argv[6], said) end
  for i, item in ipairs(argv[5]) do results[i] = rate(ctx, argv[4], argv[6], item) end
  return {1, results, ctx.now, seen}
end, wants_window, function(_, argv, names)
  for _, said in ipairs(argv[7]) do names[#names + 1] = said[1] end
  for _, item in ipairs(argv[5]) do names[#names + 1] = item[2] end
end)
end
