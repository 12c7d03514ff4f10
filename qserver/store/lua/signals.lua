-- Integrity signals: what looks like gaming of figures that pay depends on. A signal is a mark on the leg and a field of
-- the event at hand, nothing else: it is for people to look at, it refuses nothing and drops nothing.
local ENOUGH = 10 -- services finished today before their mean says what is short

-- Marks the ticket's present leg and answers the event's further fields with the signal among them, as the last one.
local function signal(t, name, extra)
  mark(t, SIGNALS[name])
  extra = extra or {}
  if extra[#extra - 1] == 'signals' then
    table.insert(extra[#extra], name)
  else
    extra[#extra + 1], extra[#extra + 2] = 'signals', {name}
  end
  return extra
end

-- A service far below the mean of its kind: `c` are its counters before this one is added.
local function is_short(ctx, c, spent)
  local rules = ctx.rules.integrity
  return rules and c[C.finished] >= ENOUGH and spent < c[C.mean_ms] * rules.short
end

local function is_called_often(ctx, t)
  local rules = ctx.rules.integrity
  return rules and rules.calls > 0 and t[T.calls] >= rules.calls
end

-- Whether the person was finished for the same service just before: `earlier` is the person's last ticket for it.
local function is_reissued(ctx, earlier)
  local rules = ctx.rules.integrity
  return rules and earlier and earlier[T.state] == 'finished' and ctx.now - earlier[T.finished_ms] < rules.reissue
end

-- Whether a finish sends the visit back to where it comes from: one visit that counts as two.
local function is_sent_back(ctx, w, service, sent, bound)
  local rules = ctx.rules.integrity
  return rules and rules.reissue > 0 and sent == service and (bound == '' or bound == w[W.id])
end

-- Whether a pad's ratings follow one another faster than citizens can: each within `burst_ms` of the one before.
local function is_burst(ctx, window, at)
  local rules = ctx.rules.integrity
  local w = rules and rules.burst > 0 and window ~= '' and load_window(ctx, window)
  if not w then return false end
  local close = math.abs(at - w[W.rated_at_ms]) < rules.burst_ms
  w[W.rated_at_ms], w[W.rated_run] = at, close and w[W.rated_run] + 1 or 1
  save_window(ctx, w)
  return w[W.rated_run] >= rules.burst
end
