-- Which pad a rating came from, and whether its counter says that there are two of it. Nothing here refuses: a pad whose
-- storage was wiped or put back is as honest as before, so what does not fit is marked for people to look at. Only
-- ratings that are recorded come here, so whoever holds a stolen token can write no more than there were services.

local doubt_pad -- function(ctx, w, device, number) -> why the rating is doubted, or nil; device '' = unsigned
do
  local NUMBERS = 512 -- so many of a pad's last numbers are remembered
  local PADS = 4 -- so many pads of a window are remembered, those that rated last

  -- Whether a number fits those the pad used before. pad: {device, highest, used: '1' or '0' for each of the last
  -- numbers, the highest at the end}. They may come in any order, each once.
  local function misfit(pad, number)
    local highest, used = pad[2], pad[3]
    if number > highest then
      local skipped = math.min(number - highest, NUMBERS) - 1
      pad[2], pad[3] = number, string.sub(used .. string.rep('0', skipped) .. '1', -NUMBERS)
      return nil
    end
    local at = #used - (highest - number)
    if at < 1 then return 'number_back' end
    if string.sub(used, at, at) == '1' then return 'number_twice' end
    pad[3] = string.sub(used, 1, at - 1) .. '1' .. string.sub(used, at + 1)
  end

  local function doubts(ctx, w, device, number)
    local last = w[W.pad]
    if device == '' then return last ~= '' and 'unsigned' or nil end
    local kept = field(ctx, 'd:' .. w[W.id])
    local pads, pad, other = kept and unpack_(kept) or {}, nil, device ~= last
    for i, one in ipairs(pads) do
      if one[1] == device then pad = table.remove(pads, i) break end
    end
    local known = pad ~= nil
    pad = pad or {device, number - 1, string.rep('0', NUMBERS)} -- begins where it is heard of first
    local why = misfit(pad, number)
    table.insert(pads, 1, pad)
    pads[PADS + 1] = nil
    put(ctx, 'd:' .. w[W.id], pack(pads))
    if other then
      w[W.pad] = device
      save_window(ctx, w)
    end
    if why then
      emit(ctx, 'device.cloned', {'', 0, w[W.id]}, {'device', device, 'number', number, 'doubt', why})
    elseif other and not known and last ~= '' then
      emit(ctx, 'device.changed', {'', 0, w[W.id]}, {'device', device, 'from_device', last})
    elseif other and known then
      why = 'two_pads' -- it was replaced, and yet it rates
    end
    return why
  end

  -- What a supervisor is shown of it stays: {how many, why, when, device, number} of a window's doubted ratings.
  doubt_pad = function(ctx, w, device, number)
    local why = doubts(ctx, w, device, number)
    if why then
      local kept = field(ctx, 'D:' .. w[W.id])
      put(ctx, 'D:' .. w[W.id], pack({kept and unpack_(kept)[1] + 1 or 1, why, ctx.now, device, number}))
    end
    return why
  end
end
