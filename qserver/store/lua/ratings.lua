-- Ratings: one per finished leg, the first accepted one wins. Each item gets its own result; a batch is one step.
local rated_leg, rate_leg, end_prompt -- what later chapters use; a library has room for 200 names
do
local SKEW_MS = 5000 -- a device's stopwatch may run this much fast before its age is not believed

-- A leg that may be rated: its service, window, clerk, end, flags and rating; nothing when it may not.
function rated_leg(t, number)
  if number == t[T.leg] then
    if t[T.state] ~= 'finished' then return nil end
    return t[T.service], t[T.window], t[T.staff], t[T.finished_ms], t[T.flags], t[T.rating]
  end
  local leg = t[T.legs][number]
  if not leg or leg[L.outcome] == 'transferred' then return nil end
  return leg[L.service], leg[L.window], leg[L.staff], leg[L.finished_ms], leg[L.flags], leg[L.rating]
end

function rate_leg(t, number, rating)
  if number == t[T.leg] then
    t[T.rating] = rating
  else
    t[T.legs][number][L.rating] = rating
  end
end

local function mark_leg(t, number, bit)
  if number == t[T.leg] then return mark(t, bit) end
  local leg = t[T.legs][number]
  if not has(leg[L.flags], bit) then leg[L.flags] = leg[L.flags] + bit end
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
local function told_ms(ctx, finished, age)
  local at = ctx.now - age
  if age < 0 or at < finished - SKEW_MS then return nil end
  return math.max(at, finished)
end

-- What stands in the way of another rating, after the result's code: the rid (a pad's own; others' are not told), the
-- source and the instant of the rating that stands.
local function standing(rid, score, rating)
  local own = rating[4] == rid
  if own and rating[1] == score then return pack_result(rid, 'duplicate', '') end
  return pack({rid, 'conflict', own and 'other_score' or 'already_rated', rating[2] == 'active' and rating[4] or '',
    rating[2], rating[3]})
end

-- Which list of indicators and reasons was in force at an instant.
local function form_at(ctx, at)
  local forms = ctx.rules.forms or {}
  for i = #forms, 1, -1 do
    if forms[i][1] <= at or i == 1 then return forms[i][2] end
  end
  return ''
end

-- The rating that begins at argv[i]: rid, ticket, leg, score, age_ms, number, and packed what was said besides, as the
-- event tells it: 'aspects', list, 'reasons', list, 'comment', text. device: '' when it did not sign. Answers with the
-- packed result.
local function rate(ctx, window, device, argv, i)
  local rid, number, score, own_number, said = argv[i], argv[i + 2], argv[i + 3], argv[i + 5], argv[i + 6]
  local t = load_ticket(ctx, argv[i + 1])
  if not t then return pack_result(rid, 'rejected', 'not_found') end
  local service, at_window, staff, finished, _, rating = rated_leg(t, number)
  if not service then return pack_result(rid, 'rejected', 'wrong_state') end
  if window ~= '' and at_window ~= window then return pack_result(rid, 'rejected', 'forbidden') end
  if score < 1 or score > 5 then return pack_result(rid, 'rejected', 'validation') end
  if rating then return standing(rid, score, rating) end
  local at, rules = told_ms(ctx, finished, argv[i + 4]), ctx.rules.rating
  if not at then return pack_result(rid, 'rejected', 'validation') end
  if (window ~= '' and at > finished + rules.window) or ctx.now > after_span(ctx.rules, finished, rules.late) then
    return pack_result(rid, 'rejected', 'wrong_state')
  end
  local id, source = t[T.id], window ~= '' and 'active' or 'active_late'
  rate_leg(t, number, {score, source, at, rid})
  due(ctx, 'r ' .. ctx.hall .. ' ' .. id .. ' ' .. number)
  local c = counters(ctx, service)
  c[C.rated] = c[C.rated] + 1
  if score <= 2 then c[C.negative] = c[C.negative] + 1 end
  t[T.events] = t[T.events] + 1
  local more, values, signals = '', 16, nil -- behind the values that every rating has
  local signed = own_number > 0 and device or ''
  if signed ~= '' then more, values = pack_proof(device, own_number), values + 4 end
  if is_burst(ctx, window, at) then signals = {'rating_burst'} end
  local w = window ~= '' and load_window(ctx, window)
  local doubt = w and doubt_pad(ctx, w, signed, own_number)
  if doubt and ctx.rules.integrity then
    signals = signals or {}
    signals[#signals + 1] = 'doubtful_pad'
    c[C.doubtful] = c[C.doubtful] + 1
    more, values = more .. pack('doubt') .. pack(doubt), values + 2
  end
  if signals then
    for _, name in ipairs(signals) do mark_leg(t, number, SIGNALS[name]) end
    more, values = more .. pack('signals') .. pack(signals), values + 2
  end
  local told = pack_rating(list_head(values), score, source, rid, at, said, form_at(ctx, at), more)
  emit(ctx, 'rating.recorded', {id, number, at_window, service, staff, t[T.events]}, told, nil,
    end_prompt(ctx, at_window, id, number))
  day_changed(ctx, id)
  if score <= 2 then
    local _, _, _, reasons, _, comment = unpack_(said)
    open_review(ctx, 'rating', {
      window = at_window, service = service, staff = staff, leg = number,
      more = {'score', score, 'reasons', reasons, 'comment', comment},
    }, t)
  end
  save_ticket(ctx, t, number == t[T.leg])
  return pack_result(rid, 'recorded', '')
end

-- The pad says that it asked: ticket, leg, age_ms, signed from argv[i] on. Recorded once per finish, as an event of the
-- prompt and not of the ticket, so that a finish by mistake can still be undone after the pad has shown its question.
local function shown(ctx, window, device, argv, i)
  local t, number = load_ticket(ctx, argv[i]), argv[i + 1]
  if not t then return 'rejected' end
  local service, at_window, staff, finished, flags = rated_leg(t, number)
  local at = service and at_window == window and told_ms(ctx, finished, argv[i + 2])
  if not at or at > finished + ctx.rules.rating.window then return 'rejected' end
  if has(flags, SHOWN) then return 'duplicate' end
  mark_leg(t, number, SHOWN)
  count(ctx, service, C.shown)
  local extra = {'shown_ms', at}
  if argv[i + 3] then extra[3], extra[4] = 'device', device end
  emit(ctx, 'rating.shown', {t[T.id], number, at_window, service, staff, ctx.s + 1}, extra)
  save_ticket(ctx, t)
  return 'recorded'
end

local PROMPTS, PROMPT, RATING = 7, 4, 7 -- where the prompts begin; values of a prompt and of a rating

-- argv: window ('' = by the ticket's link), device, number of prompts that were shown, these, ratings: one value behind
-- the other, see above. Prompts first: the record then tells asking before answering.
command('rate', function(ctx, argv)
  local window, device, seen, ratings = argv[4], argv[5], {}, PROMPTS + argv[6] * PROMPT
  for i = PROMPTS, ratings - 1, PROMPT do seen[#seen + 1] = shown(ctx, window, device, argv, i) end
  local results = list_head((#argv - ratings + 1) / RATING)
  for i = ratings, #argv, RATING do results = results .. rate(ctx, window, device, argv, i) end
  return pack_rated(results, ctx.now, seen)
end, wants_window, function(_, argv, names)
  local ratings = PROMPTS + argv[6] * PROMPT
  for i = PROMPTS, ratings - 1, PROMPT do names[#names + 1] = argv[i] end
  for i = ratings + 1, #argv, RATING do names[#names + 1] = argv[i] end
end)
end
