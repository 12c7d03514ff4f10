-- Negative reviews 差评 and their follow-up, by the tables of domain/reviews.py: REVIEW_STEPS, REVIEW_TERMS, REVIEW_ENDED.
-- A step is added to the history and to the feed in the same words; nothing that stands there is ever changed. A term
-- that passes is put on record before whatever step comes late; sweep and the steps come through the same function.
local open_review, review_due, retain_review -- what later chapters use; a library has room for 200 names
do
-- Ids of events about a review end in the hall's number `s`: its ticket may be gone, and with it the ticket's count.
local function review_event(ctx, r, kind, more, n, service_ms)
  emit(ctx, 'review.' .. kind, {
    r[R.ticket], r[R.leg], r[R.window], r[R.service], r[R.staff], n or ctx.s + 1, 0, 0, service_ms or 0, 0, r[R.due_ms],
  }, {'review', r[R.id], 'source', r[R.source], unpack(more)})
  day_changed(ctx, r[R.ticket])
end

local function record_step(ctx, r, step, more)
  local history = r[R.history]
  history[#history + 1] = {ctx.now, step, ctx.actor, unpack(more)}
  review_event(ctx, r, step, more)
end

-- Gives the review its stage and the term within which it must be left; the same term goes on as it runs.
local function enter_stage(ctx, r, stage)
  local term, before = REVIEW_TERMS[stage], REVIEW_TERMS[r[R.stage]]
  r[R.stage], r[R.state] = stage, string.match(stage, '^[^:]+')
  if term == before then return end
  r[R.overdue], r[R.due_ms], r[R.remind_ms] = false, 0, 0
  if term ~= '' then
    local due = after_span(ctx.rules, ctx.now, ctx.rules.reviews[term])
    r[R.due_ms] = due
    r[R.remind_ms] = ctx.now + math.floor((due - ctx.now) * ctx.rules.overtime.warn_at)
  end
end

-- Keeps the review, with its one deadline: the reminder, then the instant after its term.
local function save_review(ctx, r)
  call('HSET', ctx.keys[REVIEWS], r[R.id], pack(r))
  local name = 'v ' .. ctx.hall .. ' ' .. r[R.id]
  if r[R.due_ms] ~= 0 and not r[R.overdue] then
    due(ctx, name, r[R.remind_ms] ~= 0 and r[R.remind_ms] or r[R.due_ms] + 1)
  else
    due(ctx, name)
  end
end

-- Opens a review of a leg and answers its id. `r`: {window, service, staff, ticket, leg, service_ms, more, told (what
-- of `more` the event says, too)}; `t`: the
-- ticket, when it is at hand, whose count of events then goes on. What no citizen said comes from the system.
function open_review(ctx, source, r, t)
  local number = (tonumber(call('HGET', ctx.state, 'reviews')) or 0) + 1
  call('HSET', ctx.state, 'reviews', number)
  call('HINCRBY', ctx.state, 'reviews_open', 1)
  local id, actor = string.format('r%06d', number), ctx.actor
  if source ~= 'rating' then ctx.actor = 'system' end
  local review = {
    id, '', source, r.window, r.service, r.staff, t and t[T.id] or r.ticket, r.leg, ctx.now, 0, false,
    {{ctx.now, 'opened', ctx.actor, 'source', source, unpack(r.more)}},
    '', '', 0, false, '', false, after_span(ctx.rules, ctx.now, ctx.rules.reviews.appeal),
  }
  enter_stage(ctx, review, 'open')
  if t then t[T.events] = t[T.events] + 1 end
  review_event(ctx, review, 'opened', r.told or {}, t and t[T.events], r.service_ms)
  ctx.actor = actor
  save_review(ctx, review)
  return id
end

local function load_review(ctx, id)
  local packed = string.match(id, '^r%d+$') and call('HGET', ctx.keys[REVIEWS], id)
  return packed and unpack_(packed)
end

-- Puts on record that the running term has passed, once.
local function settle_review(ctx, r)
  if r[R.due_ms] == 0 or r[R.overdue] or ctx.now <= r[R.due_ms] then return false end
  local actor = ctx.actor
  ctx.actor, r[R.overdue], r[R.late], r[R.remind_ms] = 'system', true, true, 0
  record_step(ctx, r, 'late', {'term', REVIEW_TERMS[r[R.stage]]})
  ctx.actor = actor
  return true
end

-- What is due for a review now: the reminder, or that it is late.
function review_due(ctx, id)
  local r = load_review(ctx, id)
  if not r then return end
  if not settle_review(ctx, r) and r[R.remind_ms] ~= 0 and ctx.now >= r[R.remind_ms] then
    r[R.remind_ms] = 0
    record_step(ctx, r, 'reminded', {'term', REVIEW_TERMS[r[R.stage]]})
  end
  save_review(ctx, r)
end

-- Sets when a review that has ended is looked at for what it may no longer hold.
local function retain(ctx, r, at)
  local records = ctx.rules.retention.records
  if records > 0 then at = math.min(at, math.max(ctx.now, r[R.opened_ms] + records)) end
  due(ctx, 'e ' .. ctx.hall .. ' ' .. r[R.id], at)
end

-- Takes the citizen's words out of a review's history; whether there were any.
local function erase_words(r)
  local found = false
  for _, step in ipairs(r[R.history]) do
    for i = 4, #step - 1, 2 do
      if step[i] == 'comment' and step[i + 1] ~= '' then step[i + 1], found = '', true end
    end
  end
  return found
end

-- What a review that has ended may no longer hold: the citizen's words after the time for what is personal, and nothing
-- at all after the time for records. One that goes on again is looked at again when it ends.
function retain_review(ctx, id)
  local r, rules = load_review(ctx, id), ctx.rules.retention
  if not r or not REVIEW_ENDED[r[R.stage]] then return end
  local gone_ms = r[R.opened_ms] + rules.records
  local actor = ctx.actor
  ctx.actor = 'system'
  if rules.records > 0 and ctx.now >= gone_ms then
    call('HDEL', ctx.keys[REVIEWS], id)
    review_event(ctx, r, 'removed', {})
  else
    if erase_words(r) then
      record_step(ctx, r, 'erased', {'what', 'comment'})
      save_review(ctx, r)
    end
    if rules.records > 0 then retain(ctx, r, gone_ms) end
  end
  ctx.actor = actor
end

-- argv: review, step, result, assignee, then what goes on record: name, value, ...
command('follow_up', function(ctx, argv)
  local r, step = load_review(ctx, argv[4]), REVIEW_STEPS[argv[5]]
  if not r then return refuse('not_found', 'what', 'review') end
  if not step.from[r[R.stage]] then return refuse('wrong_state', 'state', r[R.state]) end
  local stage = step.to[argv[6]]
  if not stage then return refuse('validation', 'field', 'result') end
  if argv[5] == 'appeal' and (r[R.upheld] or ctx.now > r[R.appeal_until_ms]) then
    return refuse('wrong_state', 'state', r[R.state], 'appeal_until_ms', r[R.appeal_until_ms], 'upheld', r[R.upheld])
  end
  settle_review(ctx, r)
  local more = {}
  if argv[6] ~= '' then more[1], more[2] = 'result', argv[6] end
  for i = 8, #argv do more[#more + 1] = argv[i] end
  if argv[7] ~= '' then r[R.assignee] = argv[7] end
  if argv[5] == 'appeal' then
    r[R.appealed_from] = r[R.stage]
  elseif argv[5] == 'uphold' then
    r[R.upheld] = true
  end
  local ended = REVIEW_ENDED[r[R.stage]]
  if stage == BACK then stage = r[R.appealed_from] end
  enter_stage(ctx, r, stage)
  if REVIEW_ENDED[stage] ~= ended then
    call('HINCRBY', ctx.state, 'reviews_open', REVIEW_ENDED[stage] and -1 or 1)
    if REVIEW_ENDED[stage] then retain(ctx, r, ctx.now + ctx.rules.retention.personal) end
  end
  record_step(ctx, r, step.event, more)
  save_review(ctx, r)
  return {1, r}
end)
end
