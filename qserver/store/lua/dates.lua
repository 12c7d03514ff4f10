-- Business days and working days from an instant and a hall's rules, as qserver/domain/calendar.py has them; a test
-- holds the two equal. Pure: no redis.call here.
local DAY = 86400000

local function offset_at(rules, at)
  local zone = rules.zone
  for i = #zone, 2, -1 do
    if at >= zone[i][1] then return zone[i][2] end
  end
  return zone[1][2]
end

-- 'YYYY-MM-DD' of a number of days since 1970-01-01 (Howard Hinnant's civil_from_days).
local function date_of(days)
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02d', year, month, doy - math.floor((153 * mp + 2) / 5) + 1)
end

-- The instant at which the zone's clocks show `shown` (ms since 1970-01-01 local). In the hour that clocks skip or
-- repeat, the offset before the change counts, as in Python's fold=0.
local function instant_of(rules, shown)
  local at = shown - offset_at(rules, shown - DAY)
  if offset_at(rules, at) == offset_at(rules, shown - DAY) then return at end
  local later = shown - offset_at(rules, shown + DAY)
  return offset_at(rules, later) == offset_at(rules, shown + DAY) and later or at
end

local function business_day(rules, at)
  local days = math.floor((at + offset_at(rules, at) - rules.starts) / DAY)
  local ends = instant_of(rules, (days + 1) * DAY + rules.starts)
  if ends <= at then -- the day starts within an hour that clocks repeat, and this is its second time
    days = days + 1
    ends = instant_of(rules, (days + 1) * DAY + rules.starts)
  end
  return date_of(days), ends
end

local function time_of_day(rules, at)
  return (at + offset_at(rules, at)) % DAY
end

-- The last ms of the n-th working day after a day.
local function last_of_working_day(rules, days, left)
  while left > 0 do
    days = days + 1
    local works = rules.workdays[date_of(days)]
    if works == nil then works = (days + 3) % 7 < 5 end -- 1970-01-01 was a Thursday
    if works then left = left - 1 end
  end
  return instant_of(rules, (days + 1) * DAY) - 1
end

-- The end of a legal term {amount, unit}: elapsed ms, or the last ms of the last working day. Terms in working days are
-- looked up again and again for the same day: the ends of the last one are kept beside the rules.
local function after_span(rules, from, span)
  if span[2] == 'ms' then return from + span[1] end
  local days, left = math.floor((from + offset_at(rules, from)) / DAY), span[1]
  local ends = rules.ends
  if not ends or ends.from ~= days then
    ends = {from = days}
    rules.ends = ends
  end
  if not ends[left] then ends[left] = last_of_working_day(rules, days, left) end
  return ends[left]
end
