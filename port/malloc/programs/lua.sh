# Tables, strings, closures and coroutines.
cat >test.lua <<'SOURCE'
local words, sum = {}, 0
for i = 1, 200000 do
  local key = ("%d-%d"):format(i % 5003, i % 7)
  words[key] = (words[key] or "") .. (i % 11)
end
local keys = {}
for key in pairs(words) do keys[#keys + 1] = key end
table.sort(keys)
for _, key in ipairs(keys) do sum = (sum * 31 + #words[key]) % 1000000007 end
local generate = coroutine.wrap(function() for i = 1, 100000 do coroutine.yield({ value = i }) end end)
for _ = 1, 100000 do sum = (sum + generate().value) % 1000000007 end
print(#keys, sum, words["17-3"])
SOURCE
$UNDER lua5.4 test.lua
