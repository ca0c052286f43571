-- SPDX-License-Identifier: MIT
-- Tables of records: sorted by several keys, indexed, grouped, joined, thinned out. Many small tables that live long,
-- and arrays that grow by doubling.

local load = LOAD or 10

local state = 99
local function random(n)
    state = state * 48271 % 2147483647
    return state % n + 1
end

local towns = { "Aarhus", "Bergen", "Cork", "Delft", "Evora", "Faro", "Ghent", "Halle" }
local people = {}
for i = 1, 900 * load do
    people[i] = {
        id = i,
        name = string.format("%s%04d", string.char(64 + random(26)), random(9999)),
        town = towns[random(#towns)],
        born = 1930 + random(80),
        balance = random(200000) - 100000,
    }
end

table.sort(people, function(a, b)
    if a.born ~= b.born then
        return a.born < b.born
    elseif a.name ~= b.name then
        return a.name < b.name
    end
    return a.id < b.id
end)
for i = 1, #people, #people // 5 do
    local p = people[i]
    print(p.id, p.name, p.town, p.born, p.balance)
end

local by_town, by_initial = {}, {}
for _, p in ipairs(people) do
    local group = by_town[p.town] or { count = 0, sum = 0, oldest = p, members = {} }
    by_town[p.town] = group
    group.count = group.count + 1
    group.sum = group.sum + p.balance
    group.members[#group.members + 1] = p
    local initial = p.name:sub(1, 1)
    by_initial[initial] = by_initial[initial] or {}
    table.insert(by_initial[initial], p.id)
end
for _, town in ipairs(towns) do
    local group = by_town[town]
    print(town, group.count, group.sum, group.oldest.name)
end

-- The first two of each town, by balance.
for _, town in ipairs(towns) do
    local members = by_town[town].members
    table.sort(members, function(a, b)
        return a.balance > b.balance or (a.balance == b.balance and a.id < b.id)
    end)
    print(town, members[1].name, members[1].balance, members[2].name, members[2].balance)
end

-- Three out of four leave; those that stay get a longer record.
local stay = {}
for _, p in ipairs(people) do
    if p.id % 4 == 0 then
        stay[#stay + 1] = { person = p, history = { p.balance, p.balance // 2, p.balance // 4 }, town = p.town }
    end
end
people, by_town = nil, nil
collectgarbage()
local sum = 0
for _, record in ipairs(stay) do
    sum = sum + record.history[1] + record.history[2] + record.history[3] + record.person.born
end
print("stay", #stay, sum)
local sizes = {}
for initial = 65, 90 do
    sizes[#sizes + 1] = #(by_initial[string.char(initial)] or {})
end
print(table.concat(sizes, " "))
