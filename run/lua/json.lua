-- SPDX-License-Identifier: MIT
-- Writes a generated document as JSON, reads it back, writes it again: both texts must be equal. Objects are written with
-- their keys sorted, so the text does not depend on the order in which Lua keeps them.

local load = LOAD or 10

-- ---- Writing ----

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t" }

local function quoted(text)
    return '"' .. text:gsub('[%c"\\]', function(c)
        return escapes[c] or string.format("\\u%04x", c:byte())
    end) .. '"'
end

local encode

local function encode_array(array, out)
    out[#out + 1] = "["
    for i, value in ipairs(array) do
        if i > 1 then
            out[#out + 1] = ","
        end
        encode(value, out)
    end
    out[#out + 1] = "]"
end

local function encode_object(object, out)
    local keys = {}
    for k in pairs(object) do
        keys[#keys + 1] = k
    end
    table.sort(keys)
    out[#out + 1] = "{"
    for i, k in ipairs(keys) do
        out[#out + 1] = (i > 1 and "," or "") .. quoted(k) .. ":"
        encode(object[k], out)
    end
    out[#out + 1] = "}"
end

function encode(value, out)
    local kind = type(value)
    if kind == "table" then
        if #value > 0 or next(value) == nil then
            encode_array(value, out)
        else
            encode_object(value, out)
        end
    elseif kind == "string" then
        out[#out + 1] = quoted(value)
    else
        out[#out + 1] = tostring(value)
    end
end

local function to_json(value)
    local out = {}
    encode(value, out)
    return table.concat(out)
end

-- ---- Reading: each function takes a position and gives a value and the position after it ----

local unescapes = { n = "\n", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local decode

local function after_space(text, at)
    return text:find("[^ \n\t\r]", at) or #text + 1
end

local function decode_string(text, at)
    local close = at
    repeat
        close = text:find('"', close + 1, true)
        local backslashes = #text:sub(at, close - 1):match("\\*$")
    until backslashes % 2 == 0
    local raw = text:sub(at + 1, close - 1)
    raw = raw:gsub("\\u(%x%x%x%x)", function(hex) return utf8.char(tonumber(hex, 16)) end)
    return raw:gsub("\\(.)", unescapes), close + 1
end

local function decode_array(text, at)
    local array = {}
    at = after_space(text, at + 1)
    while text:sub(at, at) ~= "]" do
        array[#array + 1], at = decode(text, at)
        at = after_space(text, at)
        if text:sub(at, at) == "," then
            at = after_space(text, at + 1)
        end
    end
    return array, at + 1
end

local function decode_object(text, at)
    local object = {}
    at = after_space(text, at + 1)
    while text:sub(at, at) ~= "}" do
        local k
        k, at = decode_string(text, at)
        at = assert(text:match("^%s*:()", at), "a colon is missing")
        object[k], at = decode(text, at)
        at = after_space(text, at)
        if text:sub(at, at) == "," then
            at = after_space(text, at + 1)
        end
    end
    return object, at + 1
end

local words = { ["true"] = true, ["false"] = false }

function decode(text, at)
    at = after_space(text, at)
    local first = text:sub(at, at)
    if first == "{" then
        return decode_object(text, at)
    elseif first == "[" then
        return decode_array(text, at)
    elseif first == '"' then
        local value, after = decode_string(text, at)
        return value, after
    end
    local token = text:match("^[%w%.%+%-]+", at)
    local value = words[token]
    if value == nil then
        value = assert(tonumber(token), "not JSON")
    end
    return value, at + #token
end

-- ---- A document ----

local function document(count)
    local tags = { "new", "old", "red\tand blue", 'the "best"', "back\\slash", "\1\2" }
    local items = {}
    for i = 1, count do
        local points = {}
        for j = 1, i % 7 do
            points[j] = { x = i * j, y = (i - j) / 4 }
        end
        items[i] = {
            id = i,
            name = "item " .. i * 7919 % 1000,
            tags = { tags[i % #tags + 1], tags[i * 5 % #tags + 1] },
            points = points,
            active = i % 3 == 0,
            note = ("a longer note about item %d. "):format(i):rep(i % 5),
        }
    end
    return { version = 1, items = items, empty = {} }
end

local function checksum(text)
    local sum = 0
    for i = 1, #text do
        sum = (sum * 31 + text:byte(i)) % 1000000007
    end
    return sum
end

local original = document(140 * load)
local text = to_json(original)
local copy = decode(text, 1)
print("length", #text)
print("checksum", checksum(text))
print("items", #copy.items)
print("round trip", to_json(copy) == text)
print(to_json(copy.items[6]))
