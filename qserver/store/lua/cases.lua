-- Promised cases 承诺件: a finish with the outcome `accepted` and the business system's number begins one, the business
-- system completes it, and what runs over the service's case limit is flagged and reviewed, once, like any overtime.
-- Cases stand in the reviews' hash, as `c:NUMBER`: both are what remains of a visit when its ticket has left. Those that
-- have not ended stand in a sorted set besides, by the event that accepted them, so that a list need not look at all.
local case_refusal, accept_case, accepted_by, withdraw_case, case_due, remove_case -- what later chapters use
do
local function load_case(ctx, id)
  local packed = call('HGET', ctx.keys[REVIEWS], 'c:' .. id)
  return packed and unpack_(packed)
end

-- Keeps the case, with its one deadline: the warning, then the instant after its limit.
local function save_case(ctx, c)
  call('HSET', ctx.keys[REVIEWS], 'c:' .. c[P.id], pack(c))
  if c[P.state] == 'accepted' then
    call('ZADD', ctx.keys[CASES], 'NX', ctx.s, c[P.id])
  else
    call('ZREM', ctx.keys[CASES], c[P.id])
  end
  local name = 'c ' .. ctx.hall .. ' ' .. c[P.id]
  if c[P.state] == 'accepted' and c[P.due_ms] ~= 0 and not c[P.overtime] then
    due(ctx, name, c[P.warn_ms] ~= 0 and c[P.warn_ms] or c[P.due_ms] + 1)
  else
    due(ctx, name)
  end
end

local function case_event(ctx, c, kind, more)
  emit(ctx, kind, {
    c[P.ticket], c[P.leg], c[P.window], c[P.service], c[P.staff], ctx.s + 1, 0, 0, 0, 0, c[P.due_ms],
  }, {'case', c[P.id], unpack(more or {})})
  day_changed(ctx, c[P.ticket])
end

local function record_case(ctx, c, step, more)
  local history = c[P.history]
  history[#history + 1] = {ctx.now, step, ctx.actor, unpack(more or {})}
  case_event(ctx, c, 'case.' .. step, more)
end

-- Refusal when a case of that number is known already; one that was taken back may be accepted again.
function case_refusal(ctx, outcome, id)
  local known = outcome == 'accepted' and id ~= '' and load_case(ctx, id)
  if known and known[P.state] ~= 'withdrawn' then
    return refuse('wrong_state', 'what', 'case', 'state', known[P.state])
  end
end

-- The promise begins: the ticket's leg is finished at this instant.
function accept_case(ctx, id, service, t, leg, window, staff)
  local limit, due, warn = (ctx.rules.services[service] or {}).case, 0, 0
  if limit and limit[1] > 0 then
    due = after_span(ctx.rules, ctx.now, limit)
    warn = ctx.now + math.floor((due - ctx.now) * ctx.rules.overtime.warn_at)
  end
  local before = load_case(ctx, id)
  local c = {
    id, 'accepted', service, window, staff, t[T.id], leg, ctx.now, due, 0, warn, false, '', before and before[P.history] or {},
  }
  record_case(ctx, c, 'accepted')
  save_case(ctx, c)
end

-- A case that has ended leaves when the time for records is over.
local function retain_case(ctx, c)
  local records = ctx.rules.retention.records
  if records == 0 or c[P.state] == 'accepted' then return end
  due(ctx, 'g ' .. ctx.hall .. ' ' .. c[P.id], math.max(ctx.now, c[P.accepted_ms] + records))
end

function remove_case(ctx, id)
  local c, records = load_case(ctx, id), ctx.rules.retention.records
  if not c or c[P.state] == 'accepted' or records == 0 or ctx.now < c[P.accepted_ms] + records then return end
  call('HDEL', ctx.keys[REVIEWS], 'c:' .. id)
  case_event(ctx, c, 'case.removed')
end

-- The case that a finish at that instant accepted, if it did.
function accepted_by(ctx, t, leg, at)
  local c = t[T.case] ~= '' and load_case(ctx, t[T.case])
  if c and c[P.ticket] == t[T.id] and c[P.leg] == leg and c[P.accepted_ms] == at then return c end
end

function withdraw_case(ctx, c)
  c[P.state] = 'withdrawn'
  record_case(ctx, c, 'withdrawn')
  save_case(ctx, c)
  retain_case(ctx, c)
end

-- Flags a case that is over its limit now and was not flagged yet, and opens its review.
local function settle_case(ctx, c)
  if c[P.state] ~= 'accepted' or c[P.due_ms] == 0 or c[P.overtime] or ctx.now <= c[P.due_ms] then return false end
  local actor = ctx.actor
  ctx.actor, c[P.overtime], c[P.warn_ms] = 'system', true, 0
  local history = c[P.history]
  history[#history + 1] = {ctx.now, 'overtime', ctx.actor}
  case_event(ctx, c, 'overtime.case')
  c[P.review] = open_review(ctx, 'case', {
    window = c[P.window], service = c[P.service], staff = c[P.staff], ticket = c[P.ticket], leg = c[P.leg],
    more = {'case', c[P.id], 'accepted_ms', c[P.accepted_ms], 'due_ms', c[P.due_ms]},
  })
  ctx.actor = actor
  return true
end

-- What is due for a case now: the warning, or that it is over its limit.
function case_due(ctx, id)
  local c = load_case(ctx, id)
  if not c then return end
  if not settle_case(ctx, c) and c[P.state] == 'accepted' and c[P.warn_ms] ~= 0 and ctx.now >= c[P.warn_ms] then
    c[P.warn_ms] = 0
    case_event(ctx, c, 'overtime.warned', {'what', 'case'})
  end
  save_case(ctx, c)
end

-- argv: case, then what goes on record: name, value, ...
command('complete_case', function(ctx, argv)
  local c = load_case(ctx, argv[4])
  if not c then return refuse('not_found', 'what', 'case') end
  if c[P.state] ~= 'accepted' then return refuse('wrong_state', 'state', c[P.state]) end
  settle_case(ctx, c)
  local more = {}
  for i = 5, #argv do more[#more + 1] = argv[i] end
  c[P.state], c[P.completed_ms] = 'completed', ctx.now
  record_case(ctx, c, 'completed', more)
  save_case(ctx, c)
  retain_case(ctx, c)
  return {1, c}
end)
end
