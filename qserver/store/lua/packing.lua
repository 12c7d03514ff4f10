-- MessagePack of records whose fields are known, put together from pieces: cmsgpack finds out anew what every value is,
-- and its packing and unpacking were nearly half of a command. The bytes are those that cmsgpack would make; what comes
-- packed already is pasted as it is. At the end stand the packers themselves, made from the records' types (library.py).
local keep_record, record_of, list_head, PACK_NAMES -- what later chapters use
do
local KEEP = 1000 -- so many packed numbers are kept at most, and so many records in each of two generations
local TEXT, NUMBER, numbers_kept = {}, {}, 0 -- length -> head of a string; number -> packed
local LISTS -- list -> packed, while somebody holds the list
local RECORDS, RECORDS_BEFORE, records_kept = {}, {}, 0 -- packed record -> the record

local function text(length)
  local head
  if length < 32 then
    head = string.char(160 + length)
  elseif length < 256 then
    head = string.char(217, length)
  elseif length < 65536 then
    return string.char(218, math.floor(length / 256), length % 256)
  else
    return numbers('>BI4', 219, length)
  end
  TEXT[length] = head
  return head
end

local function number(value)
  local packed = pack(value)
  if numbers_kept == KEEP then NUMBER, numbers_kept = {}, 0 end
  NUMBER[value], numbers_kept = packed, numbers_kept + 1
  return packed
end

local function anything(value)
  if value and value[1] ~= nil then return pack(value) end
  return value and '\144' or '\194'
end

-- What an event tells besides, if anything: a list, or one that is packed already.
local function listed(value)
  if not value then return '\144' end
  if type(value) == 'string' then return value end
  return value[1] ~= nil and pack(value) or '\144'
end

-- What a list of so many values begins with.
function list_head(length)
  if length < 16 then return string.char(144 + length) end
  return '\220' .. string.char(math.floor(length / 256), length % 256)
end

-- Lists of text in a record are replaced, never changed in place.
local function texts(value)
  if value[1] == nil then return '\144' end
  LISTS = LISTS or setmetatable({}, {__mode = 'k'})
  local packed = LISTS[value]
  if not packed then
    packed = pack(value)
    LISTS[value] = packed
  end
  return packed
end

-- Keeps a record beside its packed form: read again soon, as most are, it need not be unpacked. Nobody changes it after
-- this.
function keep_record(packed, record)
  if records_kept == KEEP then RECORDS, RECORDS_BEFORE, records_kept = {}, RECORDS, 0 end
  RECORDS[packed], records_kept = record, records_kept + 1
end

-- The record of a packed form. It is the asker's, who may change it: the next one has to unpack it again.
function record_of(packed)
  local kept = RECORDS[packed] and RECORDS or RECORDS_BEFORE
  local record = kept[packed]
  if not record then return unpack_(packed) end
  kept[packed] = nil
  return record
end

PACKERS
end
