-- The control partition: settings, pairing codes.

-- argv: a random server key, number of partitions. The first ones given stay; the answer is what stands.
control('settings', function(ctx, argv)
  call('HSETNX', ctx.state, 'server_key', argv[4])
  call('HSETNX', ctx.state, 'partitions', argv[5])
  return {1, call('HGET', ctx.state, 'server_key'), tonumber(call('HGET', ctx.state, 'partitions'))}
end)

-- argv: id, digest of the code, role, hall, window, name, lives for ms (0 = until used)
control('create_pairing', function(ctx, argv)
  if call('HLEN', ctx.keys[PAIRINGS]) >= 1000 then
    local all = call('HGETALL', ctx.keys[PAIRINGS])
    for i = 1, #all, 2 do
      local until_ms = unpack_(all[i + 1])[6]
      if until_ms ~= 0 and until_ms < ctx.now then call('HDEL', ctx.keys[PAIRINGS], all[i]) end
    end
  end
  local ttl = tonumber(argv[10])
  local pairing = {argv[4], argv[6], argv[7], argv[8], argv[9], ttl > 0 and ctx.now + ttl or 0}
  call('HSET', ctx.keys[PAIRINGS], argv[5], pack(pairing))
  return {1, pairing}
end)

-- argv: digest of the code, id of the token to make, digest of the token
control('redeem_pairing', function(ctx, argv)
  local kept = call('HGET', ctx.keys[PAIRINGS], argv[4])
  local pairing = kept and unpack_(kept)
  if not pairing or (pairing[6] ~= 0 and pairing[6] < ctx.now) then return refuse('not_found', 'what', 'pairing') end
  call('HDEL', ctx.keys[PAIRINGS], argv[4])
  local token = {argv[5], pairing[2], pairing[3], pairing[4], pairing[5], argv[6], ctx.now, 0, 0, '', '', ''}
  put_token(ctx, token)
  return {1, token}
end)
