-- Readings: the board, live figures, queues, lists. Nothing here writes, and nothing turns the day.

local function window_records(ctx, ids)
  local fields = {}
  for i, id in ipairs(ids) do fields[i] = 'w:' .. id end
  local packed = #fields > 0 and call('HMGET', ctx.state, unpack(fields)) or {}
  local records = {}
  for i, id in ipairs(ids) do
    records[i] = packed[i] and unpack_(packed[i]) or {id, 'closed', '', '', {}, '', 0, '', 0, 0, 0, '', 0, 0}
  end
  return records
end

local function waiting_counts(ctx)
  local counts = {}
  for i, service in ipairs(ctx.rules.service_order) do counts[i] = {service, waiting(ctx, service)} end
  return counts
end

-- What screens show, as of the last public event.
reading('board', function(ctx)
  local calls = {}
  for i, packed in ipairs(call('LRANGE', ctx.keys[CALLS], 0, 19)) do calls[i] = unpack_(packed) end
  local windows = {}
  for i, w in ipairs(window_records(ctx, ctx.rules.window_order)) do
    windows[i] = {w[W.id], ctx.rules.windows[w[W.id]].name, w[W.state], string.match(w[W.ticket], '-(.*)$') or ''}
  end
  local notices = call('HGET', ctx.state, 'notices')
  return {1, ctx.ep, ctx.p, calls, windows, waiting_counts(ctx), notices and unpack_(notices) or {}}
end)

-- How long the longest-waiting ticket of a service waits: members begin with the issue sequence, so the least member
-- is the earliest issued one. At most 1000 are looked at.
local function longest_wait(ctx, service)
  local from, first = low(ctx, 's:' .. service), nil
  for _, m in ipairs(call('ZRANGEBYSCORE', ctx.keys[QUEUE], from, from + WIDTH - 1, 'LIMIT', 0, 1000)) do
    if not first or m < first then first = m end
  end
  local t = first and load_ticket(ctx, ticket_id(first))
  return t and ctx.now - t[T.queued_ms] or 0
end

reading('stats', function(ctx)
  local services = {}
  for i, service in ipairs(ctx.rules.service_order) do
    services[i] = {service, counters(ctx, service), longest_wait(ctx, service)}
  end
  return {
    1, ctx.ep, ctx.s, ctx.day, ctx.now, services, window_records(ctx, ctx.rules.window_order),
    tonumber(call('HGET', ctx.state, 'reviews_open')) or 0,
  }
end)

-- argv: window ids; none = all
reading('windows', function(ctx, argv)
  local ids = {}
  for i, id in ipairs(argv) do
    if not ctx.rules.windows[id] then return refuse('no_such_window') end
    ids[i] = id
  end
  if #ids == 0 then ids = ctx.rules.window_order end
  local answer = {}
  for i, w in ipairs(window_records(ctx, ids)) do answer[i] = {w, ctx.rules.windows[w[W.id]].name} end
  return {1, answer}
end)

-- The pads of all windows: {window, the device that rated last, the devices it knows, the latest first: {device, highest
-- number}, the doubts or false: {how many, why, when, device, number}}.
reading('pads', function(ctx)
  local answer, names = {}, {}
  for _, id in ipairs(ctx.rules.window_order) do
    names[#names + 1], names[#names + 2] = 'd:' .. id, 'D:' .. id
  end
  local kept = #names > 0 and call('HMGET', ctx.state, unpack(names)) or {}
  for i, w in ipairs(window_records(ctx, ctx.rules.window_order)) do
    local pads, doubt, known = kept[2 * i - 1], kept[2 * i], {}
    for n, pad in ipairs(pads and unpack_(pads) or {}) do known[n] = {pad[1], pad[2]} end
    answer[i] = {w[W.id], w[W.pad] or '', known, doubt and unpack_(doubt) or false}
  end
  return {1, answer}
end)

-- argv: ticket names. Each: {record, ahead, open windows, mean service ms} or false.
reading('positions', function(ctx, argv)
  local answer = {}
  for i, name in ipairs(argv) do
    local t, packed = load_ticket(ctx, name)
    if t then
      local c = counters(ctx, t[T.service])
      answer[i] = {packed, t[T.state] == 'waiting' and ahead(ctx, t) or 0, c[C.open_windows], c[C.mean_ms]}
    else
      answer[i] = false
    end
  end
  return {1, answer}
end)

reading('queues', function(ctx)
  local answer = {}
  for i, service in ipairs(ctx.rules.service_order) do
    local c = counters(ctx, service)
    answer[i] = {
      service, waiting(ctx, service), c[C.open_windows], c[C.mean_ms],
      closed_now(ctx, service, ctx.rules.services[service]) or '',
    }
  end
  return {1, answer}
end)

-- argv: after (issue sequence), limit, state, service, day ('' = today). Looks at most at 20000 tickets per call; the
-- answer is {1, last looked at, more?} and the packed records.
reading('list_tickets', function(ctx, argv)
  local after, limit, state, service, day = tonumber(argv[1]), tonumber(argv[2]), argv[3], argv[4], argv[5]
  if day == '' then
    after = math.max(after, ctx.day_iseq - 1)
    day = ctx.day
  end
  after = math.max(after, ctx.order_first - 1)
  local stamp, found, looked = string.gsub(day, '-', '') .. '-', {}, 0
  while looked < 20000 do
    local from = after + 1 - ctx.order_first
    local ids = call('LRANGE', ctx.keys[ORDER], from, from + 199)
    if #ids == 0 then return {1, after, false}, found end
    local packed = call('HMGET', ctx.keys[TICKETS], unpack(ids))
    for i, id in ipairs(ids) do
      after, looked = after + 1, looked + 1
      local of = string.sub(id, 1, #stamp)
      if of > stamp then return {1, after, false}, found end -- in order of issue days rise
      local wanted = packed[i] and of == stamp
      if wanted and (state ~= '' or service ~= '') then
        local t = unpack_(packed[i])
        wanted = (state == '' or t[T.state] == state) and (service == '' or t[T.service] == service)
      end
      if wanted then found[#found + 1] = packed[i] end
      if #found == limit then return {1, after, true}, found end
    end
  end
  return {1, after, true}, found
end)

-- argv: after (review number, 0 = from the beginning), limit, state, source, window, staff, '1' = only those whose
-- follow-up has not ended, '1' = the newest first, how many of those are still to be met ('' = not known). Looks at 1000
-- reviews per call, a few ms, and at none beyond the last that has not ended when only those are wanted: they are few
-- and mostly new, the others pile up for years. The answer is {1, last looked at, more?, still to be met or -1} and
-- records.
reading('list_reviews', function(ctx, argv)
  local after, limit, state, source = tonumber(argv[1]), tonumber(argv[2]), argv[3], argv[4]
  local window, staff = argv[5], argv[6]
  local pending, step, left, found = argv[7] == '1', argv[8] == '1' and -1 or 1, tonumber(argv[9]) or -1, {}
  local last = tonumber(call('HGET', ctx.state, 'reviews')) or 0
  if pending and after == 0 then left = tonumber(call('HGET', ctx.state, 'reviews_open')) or 0 end
  local number = step == 1 and after + 1 or math.min(last, after == 0 and last or after - 1)
  local function answer()
    local beyond = step == 1 and last - after or after - 1
    return {1, after, left ~= 0 and beyond > 0, left}, found
  end
  for _ = 1, 5 do
    local ids = {}
    while left ~= 0 and #ids < 200 and number >= 1 and number <= last do
      ids[#ids + 1], number = string.format('r%06d', number), number + step
    end
    if #ids == 0 then return {1, after, false, left}, found end
    for i, packed in ipairs(call('HMGET', ctx.keys[REVIEWS], unpack(ids))) do
      local r = packed and unpack_(packed)
      local ended = r and REVIEW_ENDED[r[R.state]]
      if r and not ended and left > 0 then left = left - 1 end
      after = tonumber(string.sub(ids[i], 2))
      if r and not (pending and ended) and (state == '' or r[R.state] == state)
        and (source == '' or r[R.source] == source) and (window == '' or r[R.window] == window)
        and (staff == '' or r[R.staff] == staff) then
        found[#found + 1] = packed
      end
      if #found == limit or left == 0 then return answer() end
    end
  end
  return answer()
end)

-- argv: after (number of the event that accepted, 0 = from the beginning), limit, window, staff. Cases that have not ended,
-- in the order they were accepted; looks at 1000 per call. The answer is {1, last looked at, more?} and the records.
reading('list_cases', function(ctx, argv)
  local after, limit, window, staff, found = tonumber(argv[1]), tonumber(argv[2]), argv[3], argv[4], {}
  for _ = 1, 5 do
    local open = call('ZRANGEBYSCORE', ctx.keys[CASES], '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, 200)
    if #open == 0 then return {1, after, false}, found end
    local names = {}
    for i = 1, #open, 2 do names[#names + 1] = 'c:' .. open[i] end
    for i, packed in ipairs(call('HMGET', ctx.keys[REVIEWS], unpack(names))) do
      local c = packed and unpack_(packed)
      after = tonumber(open[2 * i])
      if c and (window == '' or c[P.window] == window) and (staff == '' or c[P.staff] == staff) then
        found[#found + 1] = packed
      end
      if #found == limit then return {1, after, true}, found end
    end
  end
  return {1, after, true}, found
end)

-- keys: the deadlines of some partitions; argv: limit of each. Members of the deadlines that are due, the instant of the
-- next one (0 = none), now.
redis.register_function{
  function_name = PREFIX .. 'due',
  flags = {'no-writes'},
  callback = function(keys, argv)
    awake()
    local now, due, next_ms = clock(), {}, 0
    for _, key in ipairs(keys) do
      local first = call('ZRANGE', key, 0, 0, 'WITHSCORES') -- nearly always all there is to know
      local at = tonumber(first[2]) or 0
      if first[1] and at <= now then
        for _, member in ipairs(call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, tonumber(argv[1]))) do
          due[#due + 1] = member
        end
        at = tonumber(call('ZRANGEBYSCORE', key, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]) or 0
      end
      if at > 0 and (next_ms == 0 or at < next_ms) then next_ms = at end
    end
    return {pack({1, next_ms, now}), due}
  end,
}
