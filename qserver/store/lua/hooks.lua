-- Webhooks: what they are, whose turn it is to send for one, and letters - events that could not be delivered. A webhook
-- is a group of the feed besides: its position and its letters move in the same step, so none is lost between them.
-- Its record stands in the hash of all webhooks; letters are fields of one hash per webhook, by their number.

local HOOKS_MAX = 100
local WAITING_MAX, DEAD_MAX = 1000, 1000 -- letters per webhook
local DELIVERED, DIES = -2, -1 -- where a delay is asked for

local function hook(name, handler) HOOK_CONTROLS[name] = {handler, nil, true} end

local function load_hook(ctx, id)
  local packed = call('HGET', ctx.keys[HOOKS], id)
  return packed and unpack_(packed)
end

local function save_hook(ctx, h) call('HSET', ctx.keys[HOOKS], h[H.id], pack(h)) end

local function no_hook() return refuse('not_found', 'what', 'webhook') end

local function group_of(h) return h[H.hall] .. '/webhook:' .. h[H.id] end

local function emit_hook(ctx, kind, h, ...)
  emit(ctx, kind, {}, {'webhook', h[H.id], 'of', h[H.hall], ...})
end

-- What a letter is called in its hash and sets: numbers of one length, so that those due at one instant keep their order.
local function name_of(n) return string.format('%010d', n) end

local function letter(ctx, name) return unpack_(call('HGET', ctx.keys[LETTERS], name)) end

local function save_letter(ctx, l)
  local name = name_of(l[N.n])
  call('HSET', ctx.keys[LETTERS], name, pack(l))
  return name
end

local function wait(ctx, h, l, due_ms)
  l[N.due_ms], l[N.dead_ms] = due_ms, 0
  if call('ZADD', ctx.keys[WAITING], due_ms, save_letter(ctx, l)) == 1 then h[H.waiting] = h[H.waiting] + 1 end
end

local function die(ctx, h, l)
  l[N.due_ms], l[N.dead_ms] = 0, ctx.now
  local name = save_letter(ctx, l)
  h[H.waiting] = h[H.waiting] - call('ZREM', ctx.keys[WAITING], name)
  call('ZADD', ctx.keys[DEAD], l[N.n], name)
  h[H.dead], h[H.died] = h[H.dead] + 1, h[H.died] + 1
end

-- Bounds: who would be tried last has failed most often and dies first; the oldest dead make room for later ones.
local function bound(ctx, h)
  while h[H.waiting] > WAITING_MAX do die(ctx, h, letter(ctx, call('ZREVRANGE', ctx.keys[WAITING], 0, 0)[1])) end
  local over = h[H.dead] - DEAD_MAX
  if over <= 0 then return end
  for _, name in ipairs(call('ZRANGE', ctx.keys[DEAD], 0, over - 1)) do call('HDEL', ctx.keys[LETTERS], name) end
  call('ZREMRANGEBYRANK', ctx.keys[DEAD], 0, over - 1)
  h[H.dead], h[H.dropped] = DEAD_MAX, h[H.dropped] + over
end

local function all_waiting(ctx) return call('ZRANGE', ctx.keys[WAITING], 0, -1) end

-- Lets what waits be tried now, before its time; `once`: unless it was already.
local function hurry(ctx, h, once)
  for _, name in ipairs(all_waiting(ctx)) do
    local l = letter(ctx, name)
    if not (once and l[N.hurried]) then
      l[N.hurried] = once
      wait(ctx, h, l, ctx.now)
    end
  end
end

local function free(h) h[H.lease], h[H.lease_until_ms] = '', 0 end

-- Nothing is kept for it in the feed any more; what waited is kept as dead.
local function disable(ctx, h, why)
  h[H.disabled_ms], h[H.why] = ctx.now, why
  free(h)
  for _, name in ipairs(all_waiting(ctx)) do die(ctx, h, letter(ctx, name)) end
  bound(ctx, h)
  call('HDEL', ctx.keys[GROUPS], group_of(h))
  emit_hook(ctx, 'webhook.disabled', h, 'reason', why)
end

-- argv: id, hall or '', url, packed kinds, name, id of its group, packed positions to begin at
hook('create_hook', function(ctx, argv)
  if call('HLEN', ctx.keys[HOOKS]) >= HOOKS_MAX then
    return refuse('validation', 'detail', 'there are too many webhooks')
  end
  local full = groups_full(ctx)
  if full then return full end
  local h = {
    argv[4], argv[5], argv[6], unpack_(argv[7]), argv[8], ctx.now, 1, 0, 0, '', '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, '', 0,
  }
  put_group(ctx, group_of(h), argv[9], h[H.hall], unpack_(argv[10]))
  save_hook(ctx, h)
  emit_hook(ctx, 'webhook.created', h)
  return {1, h}
end)

-- argv: id
hook('remove_hook', function(ctx, argv)
  local h = load_hook(ctx, argv[4])
  if not h then return no_hook() end
  call('HDEL', ctx.keys[HOOKS], h[H.id])
  call('HDEL', ctx.keys[GROUPS], group_of(h))
  call('UNLINK', ctx.keys[LETTERS], ctx.keys[WAITING], ctx.keys[DEAD])
  emit_hook(ctx, 'webhook.removed', h)
  return {1, h}
end)

-- argv: id; url, kinds, name, each false to leave it. Another address is another receiver: how the one before went counts
-- no more, and what waits goes to it at once.
hook('change_hook', function(ctx, argv)
  local h = load_hook(ctx, argv[4])
  if not h then return no_hook() end
  local before = pack({h[H.url], h[H.kinds], h[H.name]})
  if argv[5] and argv[5] ~= h[H.url] then
    h[H.url], h[H.failures], h[H.rest_until_ms] = argv[5], 0, 0
    hurry(ctx, h, false)
  end
  h[H.kinds], h[H.name] = argv[6] or h[H.kinds], argv[7] or h[H.name]
  if pack({h[H.url], h[H.kinds], h[H.name]}) == before then return {1, h} end
  save_hook(ctx, h)
  emit_hook(ctx, 'webhook.changed', h)
  return {1, h}
end)

-- argv: id, how long the present secret goes on signing, ms
hook('rotate_hook', function(ctx, argv)
  local h = load_hook(ctx, argv[4])
  if not h then return no_hook() end
  local overlap = tonumber(argv[5])
  h[H.secret], h[H.previous_until_ms] = h[H.secret] + 1, overlap > 0 and ctx.now + overlap or 0
  save_hook(ctx, h)
  emit_hook(ctx, 'webhook.rotated', h)
  return {1, h}
end)

-- argv: id, id of its group, packed positions to begin at
hook('enable_hook', function(ctx, argv)
  local h = load_hook(ctx, argv[4])
  if not h then return no_hook() end
  if h[H.disabled_ms] == 0 then return refuse('wrong_state', 'state', 'enabled') end
  local full = groups_full(ctx)
  if full then return full end
  put_group(ctx, group_of(h), argv[5], h[H.hall], unpack_(argv[6]))
  h[H.disabled_ms], h[H.why], h[H.failures], h[H.rest_until_ms] = 0, '', 0, 0
  save_hook(ctx, h)
  emit_hook(ctx, 'webhook.enabled', h)
  return {1, h}
end)

-- argv: id, packed numbers of dead letters, none = all of them. As many as there is room for are tried again.
hook('redeliver_hook', function(ctx, argv)
  local h = load_hook(ctx, argv[4])
  if not h then return no_hook() end
  if h[H.disabled_ms] ~= 0 then return refuse('wrong_state', 'state', 'disabled') end
  local names, moved = unpack_(argv[5]), 0
  for i, n in ipairs(names) do names[i] = name_of(n) end
  if #names == 0 then names = call('ZRANGE', ctx.keys[DEAD], 0, -1) end
  for _, name in ipairs(names) do
    if h[H.waiting] >= WAITING_MAX then break end
    if call('ZREM', ctx.keys[DEAD], name) == 1 then
      local l = letter(ctx, name)
      l[N.attempts] = 0
      h[H.dead], moved = h[H.dead] - 1, moved + 1
      wait(ctx, h, l, ctx.now)
    end
  end
  save_hook(ctx, h)
  return {1, h, moved}
end)

-- argv: id, process, lease in ms, limit of letters. The lease is taken or held on to unless another process has it.
hook('take_hook', function(ctx, argv)
  local h = load_hook(ctx, argv[4])
  if not h then return no_hook() end
  if h[H.disabled_ms] ~= 0 then return refuse('wrong_state', 'state', 'disabled') end
  local left, whole = h[H.lease_until_ms] - ctx.now, tonumber(argv[6])
  -- more is left than there ever was: the clock went back
  if h[H.lease] ~= argv[5] and left > 0 and left <= whole then return {1, h, ctx.now, false, {}} end
  h[H.lease], h[H.lease_until_ms] = argv[5], ctx.now + whole
  save_hook(ctx, h)
  local names, letters = call('ZRANGEBYSCORE', ctx.keys[WAITING], '-inf', ctx.now, 'LIMIT', 0, tonumber(argv[7])), {}
  if #names == 0 then names = call('ZRANGE', ctx.keys[WAITING], 0, 0) end
  for i, name in ipairs(names) do letters[i] = letter(ctx, name) end
  return {1, h, ctx.now, true, letters}
end)

-- argv: id, process. Another process need not wait for the lease to end.
hook('release_hook', function(ctx, argv)
  local h = load_hook(ctx, argv[4])
  if h and h[H.lease] == argv[5] then
    free(h)
    save_hook(ctx, h)
  end
  return {1}
end)

local function settle_letters(ctx, h, tried)
  for _, one in ipairs(tried) do
    local name, delay = name_of(one[1]), one[2]
    local packed = call('HGET', ctx.keys[LETTERS], name)
    if packed and delay == DELIVERED then
      h[H.waiting] = h[H.waiting] - call('ZREM', ctx.keys[WAITING], name)
      call('HDEL', ctx.keys[LETTERS], name)
    elseif packed then
      local l = unpack_(packed)
      l[N.attempts], l[N.tried_ms], l[N.error] = l[N.attempts] + 1, ctx.now, one[3]
      if delay == DIES then die(ctx, h, l) else wait(ctx, h, l, ctx.now + delay) end
    end
  end
end

local function settle_events(ctx, h, events)
  for _, e in ipairs(events) do
    h[H.letters] = h[H.letters] + 1
    local attempts, delay = e[5], e[6]
    local l = {h[H.letters], e[1], e[2], e[3], e[4], attempts, 0, attempts > 0 and ctx.now or 0, e[7], 0, false}
    if delay == DIES then die(ctx, h, l) else wait(ctx, h, l, ctx.now + delay) end
  end
end

-- argv: id, process, packed settlement (answers.Settlement). Refused once another process has the lease.
hook('settle_hook', function(ctx, argv)
  local h = load_hook(ctx, argv[4])
  if not h then return no_hook() end
  if h[H.lease] ~= argv[5] then return refuse('wrong_state', 'state', 'taken') end
  local letters, events, group_id, positions, sent, failed, failures, back, rest_ms, gone, why, number =
    unpack(unpack_(argv[6]))
  if number <= h[H.settled] then return {1, h} end -- its answer was lost
  local group
  if group_id ~= '' then
    local packed = call('HGET', ctx.keys[GROUPS], group_of(h))
    group = packed and unpack_(packed)
    if not group or group[1] ~= group_id or #positions ~= #group[5][1][1] then
      return refuse('validation', 'field', 'cursor')
    end
  end
  if group then
    raise_positions(group[5][1][1], positions)
    group[4] = ctx.now
    call('HSET', ctx.keys[GROUPS], group_of(h), pack(group))
  end
  settle_letters(ctx, h, letters)
  settle_events(ctx, h, events)
  if back then hurry(ctx, h, true) end
  bound(ctx, h)
  h[H.sent], h[H.failed], h[H.failures], h[H.settled] = h[H.sent] + sent, h[H.failed] + failed, failures, number
  if sent + failed > 0 then
    h[H.tried_ms], h[H.rest_until_ms] = ctx.now, rest_ms > 0 and ctx.now + rest_ms or 0
  end
  if sent > 0 then h[H.sent_ms] = ctx.now end
  if failed > 0 then h[H.failed_ms], h[H.error] = ctx.now, why end
  if gone then disable(ctx, h, 'gone') end
  save_hook(ctx, h)
  return {1, h}
end)
