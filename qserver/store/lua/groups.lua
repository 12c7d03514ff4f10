-- Positions of the feed's groups, one record per group in the control partition: {id, hall, created, acked, shards}.
-- A shard is {acked, passed}; both are flat lists of {generation, ms, seq, ordinal} per partition. `acked` is what its
-- consumer has said; `passed` lies further when what lies between is none of its own.

local GROUPS_MAX = 1000

-- Whether the position at index i of b lies after that of a. A later generation is later, whatever its ids: after the
-- tail of a stream was lost, new entries may have smaller ids than lost ones.
local function lies_after(a, b, i)
  for j = i, i + 2 do
    if a[j] ~= b[j] then return b[j] > a[j] end
  end
  return false
end

local function copy_position(to, from, i)
  for j = i, i + 3 do to[j] = from[j] end
end

local function raise_positions(to, from)
  for i = 1, #to, 4 do
    if lies_after(to, from, i) then copy_position(to, from, i) end
  end
end

-- What every shard is done with: from here another number of shards goes on without losing anything.
local function done_by_all(shards)
  local floor
  for _, shard in ipairs(shards) do
    raise_positions(shard[2], shard[1])
    if not floor then floor = shard[2] end
    for i = 1, #floor, 4 do
      if lies_after(shard[2], floor, i) then copy_position(floor, shard[2], i) end
    end
  end
  return floor
end

local function laid_out(floor, count)
  local shards = {}
  for k = 1, count do
    shards[k] = {{}, {}}
    for j = 1, #floor do shards[k][1][j], shards[k][2][j] = floor[j], floor[j] end
  end
  return shards
end

local function groups_full(ctx)
  if call('HLEN', ctx.keys[GROUPS]) >= GROUPS_MAX then
    return refuse('validation', 'detail', 'there are too many groups')
  end
end

local function put_group(ctx, name, id, hall, positions)
  local group = {id, hall, ctx.now, 0, laid_out(positions, 1)}
  call('HSET', ctx.keys[GROUPS], name, pack(group))
  return group
end

-- argv: name, id of the group if it is new, hall or '', packed positions. One that stands stays where it is.
control('group_put', function(ctx, argv)
  local stands = call('HGET', ctx.keys[GROUPS], argv[4])
  if stands then return {1, unpack_(stands), false} end
  local full = groups_full(ctx)
  if full then return full end
  return {1, put_group(ctx, argv[4], argv[5], argv[6], unpack_(argv[7])), true}
end)

-- argv: name, id of the group, number of shards, shard, packed positions, 'ack' or 'pass'. Positions only rise.
control('group_move', function(ctx, argv)
  local stands = call('HGET', ctx.keys[GROUPS], argv[4])
  if not stands then return refuse('not_found', 'what', 'group') end
  local group, to = unpack_(stands), unpack_(argv[8])
  local count, k = tonumber(argv[6]), tonumber(argv[7])
  if group[1] ~= argv[5] or #to ~= #group[5][1][1] then return refuse('validation', 'field', 'cursor') end
  if count ~= #group[5] then
    if argv[9] == 'pass' then return {1, group} end
    group[5] = laid_out(done_by_all(group[5]), count)
  end
  raise_positions(group[5][k][argv[9] == 'ack' and 1 or 2], to)
  if argv[9] == 'ack' then group[4] = ctx.now end
  call('HSET', ctx.keys[GROUPS], argv[4], pack(group))
  return {1, group}
end)

-- argv: name
control('group_remove', function(ctx, argv)
  if call('HDEL', ctx.keys[GROUPS], argv[4]) == 0 then return refuse('not_found', 'what', 'group') end
  return {1}
end)

-- Where the stream of a partition stands: {generation, length, first id, last id, entries ever added}.
redis.register_function{
  function_name = PREFIX .. 'stand',
  flags = {'no-writes'},
  callback = function(keys)
    awake()
    local gen = tonumber(call('HGET', keys[PART], 'gen') or 0)
    if call('EXISTS', keys[STREAM]) == 0 then return pack({gen, 0, '0-0', '0-0', 0}) end
    local flat, info = call('XINFO', 'STREAM', keys[STREAM]), {}
    for i = 1, #flat, 2 do info[flat[i]] = flat[i + 1] end
    local first = info['first-entry']
    return pack({gen, info['length'], first and first[1] or '0-0', info['last-generated-id'], info['entries-added']})
  end,
}
