-- Silence 未评价: where the hall's profile says so, a leg that nobody rated gets a default level once its time is over. It
-- is kept apart from what citizens said: it counts in no live figure, and a low one opens no review.

-- Never before the citizen's own time by the ticket's link is over, so a default takes nobody's word.
local function default_later(ctx, id, number, finished)
  local rules = ctx.rules.rating
  if rules.default == 0 then return end
  local at = math.max(after_span(ctx.rules, finished, rules.default_after), after_span(ctx.rules, finished, rules.late))
  due(ctx, 'l ' .. ctx.hall .. ' ' .. id .. ' ' .. number, at + 1)
end

-- How long tickets of a day that ends now are needed: until nothing can be said of them any more, or as the hall says.
local function rated_until(ctx)
  local rules = ctx.rules.rating
  local until_ms = after_span(ctx.rules, ctx.now, rules.late)
  if rules.default ~= 0 then until_ms = math.max(until_ms, after_span(ctx.rules, ctx.now, rules.default_after)) end
  return math.max(until_ms, ctx.now + ctx.rules.retention.live) + 2
end

local function default_due(ctx, id, number)
  local t, level = load_ticket(ctx, id), ctx.rules.rating.default
  if not t then return end
  local service, window, staff, _, _, rating = rated_leg(t, number)
  if not service or rating or level == 0 then return end
  rate_leg(t, number, {level, 'default', ctx.now, ''})
  t[T.events] = t[T.events] + 1
  emit(ctx, 'rating.recorded', {id, number, window, service, staff, t[T.events]},
    {'score', level, 'source', 'default'})
  day_changed(ctx, id)
  save_ticket(ctx, t)
end
