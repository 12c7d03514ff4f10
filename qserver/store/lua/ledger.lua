-- The ledger of days gone by: which tickets each had, until when they are needed here, when something about it changed
-- last, and what each archive holds of it. Tickets leave once nothing can be said of them any more and every archive
-- that is registered holds the day as it stands. Fields: store/records.py DayRecord.
local close_day, day_changed, forget -- what later chapters use; a library has room for 200 names
do
local LAPSE_MS = 30 * DAY -- an archive that was not heard of for so long holds nothing back any more

local function ledger(ctx)
  if not ctx.ledger then
    local packed = field(ctx, 'days')
    ctx.ledger = packed and unpack_(packed) or {}
  end
  return ctx.ledger
end

local function keep_ledger(ctx)
  put(ctx, 'days', pack(ctx.ledger))
  ctx.changed = true -- it changes without an event, so the head is said to be changed
end

-- The partition's archives that are registered and live, by id.
local function archives(ctx)
  if not ctx.archives then
    ctx.archives = {}
    local packed = call('HGET', ctx.keys[PART], 'archives')
    for _, one in ipairs(packed and unpack_(packed) or {}) do
      if ctx.now - one[2] < LAPSE_MS then ctx.archives[#ctx.archives + 1] = one[1] end
    end
  end
  return ctx.archives
end

local function is_archived(ctx, d)
  local holds = {}
  for _, one in ipairs(d[D.held]) do holds[one[1]] = one[2] end
  for _, id in ipairs(archives(ctx)) do
    if (holds[id] or -1) < d[D.changed] then return false end
  end
  return true
end

-- What is known of days that have left and are in every archive need not be kept.
local function prune(ctx)
  local kept = {}
  for _, d in ipairs(ledger(ctx)) do
    if (d[D.last] ~= 0 and d[D.last] >= ctx.order_first) or not is_archived(ctx, d) then kept[#kept + 1] = d end
  end
  if #kept ~= #ctx.ledger then
    ctx.ledger = kept
    keep_ledger(ctx)
  end
end

-- The day that ends now, until `until_ms`; its number of reviews before it is where its own begin.
function close_day(ctx, until_ms)
  local before = tonumber(field(ctx, 'reviews_before')) or 0
  put(ctx, 'reviews_before', tonumber(call('HGET', ctx.state, 'reviews')) or 0)
  if ctx.iseq < ctx.day_iseq then return end
  local days = ledger(ctx)
  days[#days + 1] = {ctx.day, ctx.day_iseq, ctx.iseq, until_ms, ctx.s, {}, before}
  keep_ledger(ctx)
end

local function day_of(ticket)
  return string.sub(ticket, 1, 4) .. '-' .. string.sub(ticket, 5, 6) .. '-' .. string.sub(ticket, 7, 8)
end

-- Something about a ticket changed that the day's figures rest on. Comes after the event that says what.
function day_changed(ctx, ticket)
  if string.sub(ticket, 1, 9) == stamp(ctx) then return end
  local day = day_of(ticket)
  for _, d in ipairs(ledger(ctx)) do
    if d[D.day] == day then
      d[D.changed] = ctx.s
      return keep_ledger(ctx)
    end
  end
  if #archives(ctx) == 0 then return end
  local days = ledger(ctx)
  days[#days + 1] = {day, 0, 0, 0, ctx.s, {}, 0} -- its tickets have left: what changed is a review or a case
  keep_ledger(ctx)
end

-- Puts days into the ledger that are not in it though their tickets are here: their turn came under functions that kept
-- none. They are found by their tickets' ids.
local function recover(ctx)
  write(ctx)
  local found, at, stop = {}, ctx.order_first, ctx.day_iseq
  for _, d in ipairs(ledger(ctx)) do
    if d[D.last] ~= 0 then stop = math.min(stop, d[D.first]) end
  end
  while at < stop do
    local from = at - ctx.order_first
    local ids = call('LRANGE', ctx.keys[ORDER], from, math.min(from + 999, stop - 1 - ctx.order_first))
    if #ids == 0 then break end
    for _, id in ipairs(ids) do
      local d = found[#found]
      if not d or d[D.day] ~= day_of(id) then
        d = {day_of(id), at, at, ctx.now, ctx.s, {}, 0}
        found[#found + 1] = d
      end
      d[D.last], at = at, at + 1
    end
  end
  if #found == 0 then return end
  for _, d in ipairs(ledger(ctx)) do
    if d[D.last] ~= 0 then found[#found + 1] = d end
  end
  ctx.ledger = found
  keep_ledger(ctx)
end

-- Tickets issued before number `first` are past their rating time: they leave, a thousand at a time, as far as the
-- archives hold them. What they were is there and in the feed.
function forget(ctx, first, again)
  if #archives(ctx) > 0 then recover(ctx) end
  for _, d in ipairs(ledger(ctx)) do
    if d[D.last] ~= 0 and d[D.first] < first and not is_archived(ctx, d) then first = d[D.first] end
  end
  local left = first - ctx.order_first
  if left > 0 then
    write(ctx)
    local ids = call('LPOP', ctx.keys[ORDER], math.min(left, 1000))
    call('HDEL', ctx.keys[TICKETS], unpack(ids))
    for _, id in ipairs(ids) do ctx.tickets[id] = false end
    ctx.order_first, ctx.changed = ctx.order_first + #ids, true -- without an event, too
    if left > 1000 then due(ctx, again, ctx.now) end
  end
  prune(ctx)
end

-- The first ticket that must stay, of those that days gone by hold; days leave in order.
local function leavable(ctx)
  local stays = 0
  for _, d in ipairs(ledger(ctx)) do
    if d[D.last] ~= 0 then
      if ctx.now < d[D.until_ms] or not is_archived(ctx, d) then break end
      stays = d[D.last] + 1
    end
  end
  return stays
end

-- argv: archive, day, what of it the archive holds: the hall's number of the last change. When that was all that tickets
-- were waiting for, they leave.
command('archived', function(ctx, argv)
  local archive, s = argv[4], tonumber(argv[6])
  for _, d in ipairs(ledger(ctx)) do
    if d[D.day] == argv[5] then
      local known = false
      for _, one in ipairs(d[D.held]) do
        if one[1] == archive then one[2], known = s, true end
      end
      if not known then table.insert(d[D.held], {archive, s}) end
      keep_ledger(ctx)
      local stays = leavable(ctx)
      if stays > ctx.order_first then due(ctx, 'f ' .. ctx.hall .. ' ' .. stays, ctx.now) end
      prune(ctx)
      return {1, true}
    end
  end
  return {1, false}
end)

-- Today, where its reviews begin, the first ticket that is still here, the days gone by, and the archives.
reading('ledger', function(ctx)
  local packed = call('HGET', ctx.keys[PART], 'archives')
  return {
    1, ctx.day, ctx.now, tonumber(call('HGET', ctx.state, 'reviews_before')) or 0, ctx.order_first, ctx.day_iseq,
    unpack_(call('HGET', ctx.state, 'days') or pack({})), packed and unpack_(packed) or {},
  }
end)

-- argv: archive. Of a partition: registers an archive, or says that it lives.
redis.register_function(PREFIX .. 'register_archive', function(keys, argv)
  awake()
  local packed, found = call('HGET', keys[PART], 'archives'), nil
  local known = packed and unpack_(packed) or {}
  for _, one in ipairs(known) do
    if one[1] == argv[1] then one[2], found = clock(), true end
  end
  if not found then known[#known + 1] = {argv[1], clock()} end
  call('HSET', keys[PART], 'archives', pack(known))
  return {pack({1})}
end)
end
