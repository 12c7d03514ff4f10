-- Tokens. One is known by the digest of its text, never its text. The token of a session is one with a staff id: what is
-- known of a session that ended stays until it would have ended anyway, so that its page can be told why.

local function put_token(ctx, token)
  local before = call('HGET', ctx.keys[IDS], token[K.id])
  if before then call('HDEL', ctx.keys[TOKENS], before) end
  call('HSET', ctx.keys[TOKENS], token[K.digest], pack(token))
  call('HSET', ctx.keys[IDS], token[K.id], token[K.digest])
  emit(ctx, 'token.created', {'', 0, token[K.window], '', token[K.staff]},
    {'token', token[K.id], 'role', token[K.role], 'of', token[K.hall]})
end

local function emit_revoked(ctx, token, reason)
  emit(ctx, 'token.revoked', {'', 0, token[K.window], '', token[K.staff]},
    {'token', token[K.id], 'role', token[K.role], 'of', token[K.hall], 'reason', reason})
end

local function person_key(hall, id) return hall .. '/' .. id end

-- Ends a session that lasts; answers with its token's id, or nil when there is none to end.
local function end_session(ctx, digest, reason)
  local packed = call('HGET', ctx.keys[TOKENS], digest)
  local k = packed and unpack_(packed)
  if not k or k[K.revoked_ms] ~= 0 then return nil end
  local seat = person_key(k[K.hall], k[K.window])
  if call('HGET', ctx.keys[SEATS], seat) == digest then call('HDEL', ctx.keys[SEATS], seat) end
  call('HDEL', ctx.keys[IDS], k[K.id])
  if k[K.expires_ms] <= ctx.now then
    call('HDEL', ctx.keys[TOKENS], digest)
    return nil
  end
  k[K.revoked_ms], k[K.ended], k[K.ended_by] = ctx.now, reason, ctx.actor
  call('HSET', ctx.keys[TOKENS], digest, pack(k))
  emit_revoked(ctx, k, reason)
  return k[K.id]
end

-- argv: id, role, hall, window, name, digest, lives until (0 = for ever). A token of that id is replaced.
control('create_token', function(ctx, argv)
  local token = {argv[4], argv[5], argv[6], argv[7], argv[8], argv[9], ctx.now, tonumber(argv[10]), 0, '', '', ''}
  local same = call('HGET', ctx.keys[TOKENS], argv[9])
  if same and unpack_(same)[K.id] == token[K.id] then return {1, unpack_(same)} end
  put_token(ctx, token)
  return {1, token}
end)

-- argv: id
control('revoke_token', function(ctx, argv)
  local digest = call('HGET', ctx.keys[IDS], argv[4])
  if not digest then return refuse('not_found', 'what', 'token') end
  local token = unpack_(call('HGET', ctx.keys[TOKENS], digest))
  if (token[K.staff] or '') ~= '' and end_session(ctx, digest, 'revoked') then
    token[K.revoked_ms] = ctx.now
    return {1, token}
  end
  call('HDEL', ctx.keys[IDS], argv[4])
  call('HDEL', ctx.keys[TOKENS], digest)
  token[K.revoked_ms] = ctx.now
  emit_revoked(ctx, token, 'revoked')
  return {1, token}
end)
