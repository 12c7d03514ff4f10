-- Staff 人员 and their sessions. A session is a token with its holder's staff id; the record of a person names the
-- tokens of its sessions, so that all end with the person's right to them. One clerk's session per window (SEATS).
-- What is known of a session that ended stays until it would have ended anyway: its page is told why.
--
-- Who is unknown is answered as who is known, wrong passwords and locks among it (STRANGERS): no answer tells which
-- staff ids exist.
local SESSIONS_MAX = 8
local STRANGERS_MAX = 10000

local function find_person(ctx, hall, id)
  local packed = call('HGET', ctx.keys[STAFF], person_key(hall, id))
  return packed and unpack_(packed)
end

local function save_person(ctx, s) call('HSET', ctx.keys[STAFF], person_key(s[S.hall], s[S.id]), pack(s)) end

-- An event about somebody; `more`: names and values beside hall and role.
local function emit_person(ctx, kind, s, more, window)
  local extra = {'of', s[S.hall], 'role', s[S.role]}
  for _, one in ipairs(more or {}) do extra[#extra + 1] = one end
  emit(ctx, kind, {'', 0, window or '', '', s[S.id]}, extra)
end

local function end_sessions(ctx, s, reason, but)
  local ended = {}
  for _, digest in ipairs(s[S.sessions]) do
    if digest ~= but then ended[#ended + 1] = end_session(ctx, digest, reason) end
  end
  return ended
end

-- Forgets sessions that would have ended by now, and the oldest ones beyond what a person may have.
local function tidy_sessions(ctx, s, ended)
  local kept = {}
  for _, digest in ipairs(s[S.sessions]) do
    local packed = call('HGET', ctx.keys[TOKENS], digest)
    if packed and unpack_(packed)[K.expires_ms] > ctx.now then
      kept[#kept + 1] = digest
    else
      end_session(ctx, digest, 'expired')
      call('HDEL', ctx.keys[TOKENS], digest)
    end
  end
  while #kept >= SESSIONS_MAX do
    ended[#ended + 1] = end_session(ctx, kept[1], 'too_many')
    call('HDEL', ctx.keys[TOKENS], kept[1])
    table.remove(kept, 1)
  end
  s[S.sessions] = kept
end

-- argv: hall, staff id, name, role, hash, windows...
control('staff_add', function(ctx, argv)
  if find_person(ctx, argv[4], argv[5]) then return refuse('in_use', 'what', 'staff') end
  if call('HGET', ctx.keys[IDS], argv[5]) then return refuse('in_use', 'what', 'token') end -- one name, one actor
  local windows = {}
  for i = 9, #argv do windows[#windows + 1] = argv[i] end
  local s = {argv[4], argv[5], argv[6], argv[7], windows, argv[8], ctx.now, ctx.now, 0, 0, 0, 0, 0, {}}
  save_person(ctx, s)
  emit_person(ctx, 'staff.added', s)
  return {1, s, {}}
end)

-- argv: hall, staff id, name, role, windows (false = as it is). Whoever gets other rights logs in anew.
control('staff_change', function(ctx, argv)
  local s = find_person(ctx, argv[4], argv[5])
  if not s then return refuse('not_found', 'what', 'staff') end
  if argv[6] then s[S.name] = argv[6] end
  if argv[7] then s[S.role] = argv[7] end
  if argv[8] then s[S.windows] = argv[8] end
  local ended = (argv[7] or argv[8]) and end_sessions(ctx, s, 'changed') or {}
  save_person(ctx, s)
  emit_person(ctx, 'staff.changed', s)
  return {1, s, ended}
end)

-- argv: hall, staff id, hash, digest of the session that stays ('' = none does). A lock is lifted.
control('staff_password', function(ctx, argv)
  local s = find_person(ctx, argv[4], argv[5])
  if not s then return refuse('not_found', 'what', 'staff') end
  s[S.hash], s[S.changed_ms], s[S.wrong], s[S.locked_ms] = argv[6], ctx.now, 0, 0
  local ended = end_sessions(ctx, s, 'password', argv[7])
  save_person(ctx, s)
  emit_person(ctx, 'staff.password_changed', s)
  return {1, s, ended}
end)

-- argv: hall, staff id
control('staff_disable', function(ctx, argv)
  local s = find_person(ctx, argv[4], argv[5])
  if not s then return refuse('not_found', 'what', 'staff') end
  if s[S.disabled_ms] ~= 0 then return {1, s, {}} end
  s[S.disabled_ms] = ctx.now
  local ended = end_sessions(ctx, s, 'disabled')
  save_person(ctx, s)
  emit_person(ctx, 'staff.disabled', s)
  return {1, s, ended}
end)

-- argv: hall, staff id. Lets somebody in again: whoever was disabled, or locked out by wrong passwords.
control('staff_enable', function(ctx, argv)
  local s = find_person(ctx, argv[4], argv[5])
  if not s then return refuse('not_found', 'what', 'staff') end
  if s[S.disabled_ms] == 0 and s[S.wrong] == 0 and s[S.locked_ms] == 0 then return {1, s, {}} end
  s[S.disabled_ms], s[S.wrong], s[S.locked_ms] = 0, 0, 0
  save_person(ctx, s)
  emit_person(ctx, 'staff.enabled', s)
  return {1, s, {}}
end)

-- How often who was tried in vain: {wrong, tried, locked until}, of somebody or of a name that nobody has.
local function tries_of(ctx, key, s)
  if s then return {s[S.wrong], s[S.tried_ms], s[S.locked_ms]} end
  local packed = call('HGET', ctx.keys[STRANGERS], key)
  return packed and unpack_(packed) or {0, 0, 0}
end

local function save_tries(ctx, key, s, tries, lock)
  if s then
    s[S.wrong], s[S.tried_ms], s[S.locked_ms] = tries[1], tries[2], tries[3]
    save_person(ctx, s)
    return
  end
  if call('HLEN', ctx.keys[STRANGERS]) >= STRANGERS_MAX then
    local all = call('HGETALL', ctx.keys[STRANGERS])
    for i = 1, #all, 2 do
      local other = unpack_(all[i + 1])
      if other[3] <= ctx.now and other[2] + lock <= ctx.now then call('HDEL', ctx.keys[STRANGERS], all[i]) end
    end
    if call('HLEN', ctx.keys[STRANGERS]) >= STRANGERS_MAX then call('UNLINK', ctx.keys[STRANGERS]) end
  end
  call('HSET', ctx.keys[STRANGERS], key, pack(tries))
end

local function until_s(ctx, at) return math.max(1, math.ceil((at - ctx.now) / 1000)) end

-- argv: hall, staff id, tries in vain that lock, for how long, ms. Counts a try before anybody looks at its password, so
-- that many at a time are not more than one after the other. Answers with the record, false for a name nobody has.
control('login_try', function(ctx, argv)
  local key, most, lock = person_key(argv[4], argv[5]), tonumber(argv[6]), tonumber(argv[7])
  local s = find_person(ctx, argv[4], argv[5])
  local tries = tries_of(ctx, key, s)
  if tries[3] > ctx.now then return refuse('rate_limited', 'retry_after_s', until_s(ctx, tries[3])) end
  if tries[2] + lock <= ctx.now then tries[1] = 0 end
  if tries[1] >= most then return refuse('rate_limited', 'retry_after_s', until_s(ctx, tries[2] + lock)) end
  save_tries(ctx, key, s, {tries[1] + 1, ctx.now, 0}, lock)
  return {1, s or false}
end)

-- argv: as above. The password of a try was wrong.
control('login_failed', function(ctx, argv)
  local key, most, lock = person_key(argv[4], argv[5]), tonumber(argv[6]), tonumber(argv[7])
  local s = find_person(ctx, argv[4], argv[5])
  local tries = tries_of(ctx, key, s)
  local locks = tries[1] >= most and tries[3] <= ctx.now
  if locks then save_tries(ctx, key, s, {tries[1], tries[2], ctx.now + lock}, lock) end
  if s then
    emit_person(ctx, 'staff.refused', s, {'wrong', tries[1]})
    if locks then emit_person(ctx, 'staff.locked', s, {'until_ms', ctx.now + lock}) end
  end
  return {1}
end)

-- argv: hall, staff id. The password of a try was right, but it leads to no session.
control('login_right', function(ctx, argv)
  local s = find_person(ctx, argv[4], argv[5])
  if s then save_tries(ctx, '', s, {0, s[S.tried_ms], 0}, 0) end
  return {1}
end)

-- argv: hall, staff id, the hash that the password fits, window ('' = none), token id, digest, how long it lasts, ms.
-- Answers with the token and the ids of the sessions that ended for it; with false when the right to log in went while
-- the password was looked at.
control('login', function(ctx, argv)
  local s = find_person(ctx, argv[4], argv[5])
  if not s or s[S.disabled_ms] ~= 0 or s[S.hash] ~= argv[6] then return {1, false, {}} end
  local window, digest, ended = argv[7], argv[9], {}
  tidy_sessions(ctx, s, ended)
  local seat = person_key(s[S.hall], window)
  local before = window ~= '' and call('HGET', ctx.keys[SEATS], seat)
  if before then ended[#ended + 1] = end_session(ctx, before, 'taken_over') end
  if window ~= '' then call('HSET', ctx.keys[SEATS], seat, digest) end
  s[S.sessions][#s[S.sessions] + 1] = digest
  s[S.wrong], s[S.locked_ms], s[S.login_ms] = 0, 0, ctx.now
  save_person(ctx, s)
  local token = {
    argv[8], s[S.role], s[S.hall], window, s[S.name], digest, ctx.now, ctx.now + tonumber(argv[10]), 0, s[S.id], '', '',
  }
  put_token(ctx, token)
  emit_person(ctx, 'staff.logged_in', s, {'token', token[K.id]}, window)
  return {1, token, ended}
end)

-- argv: digest of the session's token
control('logout', function(ctx, argv)
  local packed = call('HGET', ctx.keys[TOKENS], argv[4])
  local k = packed and unpack_(packed)
  local id = k and end_session(ctx, argv[4], 'logged_out')
  local s = id and find_person(ctx, k[K.hall], k[K.staff])
  if s then emit_person(ctx, 'staff.logged_out', s, {'token', id}, k[K.window]) end
  return {1, id and {id} or {}}
end)
