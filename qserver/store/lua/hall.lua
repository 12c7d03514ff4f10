-- Commands of a hall as a whole: its definition, notices, devices; and answers kept for the edge.

local NOTICES = 5 -- so many notices stand at once; a new one pushes out the oldest

-- What of the present definition is in use and missing from the new one: a text for people, or nil.
local function removed_in_use(ctx, rules)
  write(ctx)
  local gone = {}
  for _, service in ipairs(ctx.rules.service_order) do
    if not rules.services[service] then
      if waiting(ctx, service) > 0 then return 'service ' .. service end
      gone[service] = true
    end
  end
  for _, id in ipairs(ctx.rules.window_order) do
    local w = load_window(ctx, id)
    if not rules.windows[id] then
      local from = low(ctx, 'w:' .. id)
      if w[W.state] ~= 'closed' or call('ZCOUNT', ctx.keys[QUEUE], from, from + WIDTH - 1) > 0 then
        return 'window ' .. id
      end
    end
    for _, service in ipairs(w[W.services]) do
      if gone[service] and w[W.state] ~= 'closed' then return 'service ' .. service end
    end
  end
  if not next(gone) then return nil end
  local ids = call('LRANGE', ctx.keys[ORDER], ctx.day_iseq - ctx.order_first, -1)
  for i = 1, #ids, 500 do
    local packed = call('HMGET', ctx.keys[TICKETS], unpack(ids, i, math.min(i + 499, #ids)))
    for j = 1, #packed do
      local t = packed[j] and unpack_(packed[j])
      if t and LIVE[t[T.state]] then
        if gone[t[T.service]] then return 'service ' .. t[T.service] end
        for _, service in ipairs(t[T.rest]) do
          if gone[service] then return 'service ' .. service end
        end
      end
    end
  end
end

-- Queues keep the band they have; new ones get the next free number, which is never given again.
local function assign_bands(rules, before)
  local bands, free = {}, before and before.free_band or 0
  local function give(queue)
    local band = before and before.bands[queue]
    if not band then band, free = free, free + 1 end
    bands[queue] = band
  end
  for queue in pairs(before and before.bands or {}) do give(queue) end
  for _, service in ipairs(rules.service_order) do give('s:' .. service) end
  for _, id in ipairs(rules.window_order) do give('w:' .. id) end
  rules.bands, rules.free_band = bands, free
end

-- What citizens may choose from beside a level changes with a definition; a rating kept offline was given under the
-- list of its own time. Kept are the last ones and since when each was in force, the first one from ever on.
local FORMS = 20
local function keep_forms(ctx, rules, before)
  local forms = before and before.forms or {}
  local last = forms[#forms]
  if not last or last[2] ~= rules.rating.form then
    forms[#forms + 1] = {last and ctx.now or 0, rules.rating.form}
  end
  if #forms > FORMS then table.remove(forms, 1) end
  rules.forms = forms
end

-- argv: definition as JSON, compiled rules, digest of both, digest that must stand now ('' = any)
command('configure', function(ctx, argv)
  local now_digest = ctx.rev and string.match(ctx.rev, '^[^@]*')
  if argv[7] ~= '' and argv[7] ~= (now_digest or '') then return refuse('precondition_failed') end
  if argv[6] == now_digest then return {1, now_digest, false} end
  local rules = unpack_(argv[5])
  if ctx.rules then
    local used = removed_in_use(ctx, rules)
    if used then return refuse('in_use', 'what', used) end
  end
  assign_bands(rules, ctx.rules)
  keep_forms(ctx, rules, ctx.rules)
  local created = not ctx.rev
  ctx.rules, ctx.rev = rules, argv[6] .. '@' .. ctx.now .. '.' .. ctx.s
  local day, day_end = business_day(rules, ctx.now)
  if created then
    ctx.day = day
    put(ctx, 'bound', 0)
    call('SADD', ctx.keys[HALLS], ctx.hall)
  end
  ctx.day_end = day_end
  put(ctx, 'def', argv[4])
  put(ctx, 'rules', pack(rules))
  put(ctx, 'rev', ctx.rev)
  due(ctx, 'd ' .. ctx.hall, day_end)
  emit(ctx, 'hall.configured', {}, {'revision', argv[6]}, {'config'})
  return {1, argv[6], created}
end, nil, nil, true)

-- argv: text ('' takes all notices down)
command('notice', function(ctx, argv)
  local kept = field(ctx, 'notices')
  local notices, text = kept and unpack_(kept) or {}, argv[4]
  local notice = {tostring(ctx.s + 1), text, ctx.now}
  if text == '' then notices = {} else table.insert(notices, 1, notice) end
  notices[NOTICES + 1] = nil
  put(ctx, 'notices', pack(notices))
  emit(ctx, 'notice.posted', {}, {'text', text}, {'notice'})
  return {1, notice}
end)

-- argv: connected or lost, device, role, topic, window
command('device', function(ctx, argv)
  emit(ctx, 'device.' .. argv[4], {'', 0, argv[8]}, {'device', argv[5], 'role', argv[6], 'topic', argv[7]})
  return {1}
end)

-- argv: status, body. An answer that the edge itself gave under a key (a body that did not validate, say).
local function keep(_, argv) return {1, tonumber(argv[4]), argv[5]} end
command('keep', keep, nil, nil, true)
control('keep', keep)

-- Of a partition: its epoch (raised when the server is another one), its stream's last entry, the time.
redis.register_function(PREFIX .. 'touch', function(keys)
  awake()
  local ep = epoch(keys) .. '-' .. string.sub(RUN, 1, 8)
  local info, last = call('XINFO', 'STREAM', keys[STREAM]), '0-0'
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
  return {ep, last, clock()}
end)
