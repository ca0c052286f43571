-- SPDX-License-Identifier: MIT
-- A text of made-up words: built by concatenation, counted, replaced word by word, folded into lines. Strings of all
-- lengths, from short ones that Lua keeps in one table to some of hundreds of kilobytes.

local load = LOAD or 10

local state = 12345
local function random(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % n + 1
end

local consonants = { "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v" }
local vowels = { "a", "e", "i", "o", "u" }
local vocabulary = {}
for i = 1, 40 * load do
    local word = ""
    for _ = 1, 1 + random(3) do
        word = word .. consonants[random(#consonants)] .. vowels[random(#vowels)]
    end
    vocabulary[i] = word
end

local sentences = {}
for i = 1, 150 * load do
    local words = {}
    for j = 1, 4 + random(8) do
        words[j] = vocabulary[math.min(random(#vocabulary), random(#vocabulary))] -- early words are commoner
    end
    sentences[i] = table.concat(words, " "):gsub("^%l", string.upper) .. "."
end
local text = table.concat(sentences, " ")
print("characters", #text)

local count, different = {}, {}
for word in text:gmatch("%a+") do
    word = word:lower()
    if not count[word] then
        different[#different + 1] = word
    end
    count[word] = (count[word] or 0) + 1
end
table.sort(different, function(a, b)
    return count[a] > count[b] or (count[a] == count[b] and a < b)
end)
print("different words", #different)
for i = 1, 8 do
    print(different[i], count[different[i]])
end

-- Every fifth round takes out a sound that the round before put in.
local changes = { { "ba", "bla" }, { "(%a)o", "%1ou" }, { "%f[%a]t(%a)", "th%1" }, { "[aeiou]s", "us" }, { "th", "t" } }
for round = 1, load do
    local change = changes[(round - 1) % #changes + 1]
    local replaced
    text, replaced = text:gsub(change[1], change[2])
    print("round", round, replaced, #text)
end

local folded = ""
local line = ""
for word in text:sub(1, 3000 * load):gmatch("%S+") do
    if #line + #word > 72 then
        folded = folded .. line .. "\n" -- a string that grows by one line at a time: each a new copy
        line = ""
    end
    line = line .. (line == "" and "" or " ") .. word
end
print("folded", #folded, select(2, folded:gsub("\n", "")))
print(folded:match("^[^\n]*"))
print(text:reverse():sub(1, 40))
