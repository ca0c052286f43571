-- SPDX-License-Identifier: MIT
-- Conway's game of life on a plane without edges. A generation is a set of cells, its keys strings, so each step makes
-- and drops thousands of strings and grows tables by rehashing.
-- Known: the R-pentomino settles in generation 1103 with 116 cells.

local load = LOAD or 10

local function key(x, y)
    return x .. "," .. y
end

local function step(alive)
    local neighbours, where = {}, {}
    for _, cell in pairs(alive) do
        for dx = -1, 1 do
            for dy = -1, 1 do
                if dx ~= 0 or dy ~= 0 then
                    local k = key(cell.x + dx, cell.y + dy)
                    neighbours[k] = (neighbours[k] or 0) + 1
                    where[k] = where[k] or { x = cell.x + dx, y = cell.y + dy }
                end
            end
        end
    end
    local following, count = {}, 0
    for k, n in pairs(neighbours) do
        if n == 3 or (n == 2 and alive[k]) then
            following[k] = where[k]
            count = count + 1
        end
    end
    return following, count
end

local alive, count = {}, 5
for _, cell in ipairs { { 1, 0 }, { 2, 0 }, { 0, 1 }, { 1, 1 }, { 1, 2 } } do
    alive[key(cell[1], cell[2])] = { x = cell[1], y = cell[2] }
end

local last = load > 1 and 1110 or 10
for generation = 1, last do
    alive, count = step(alive)
    if generation % (last // 10) == 0 or generation == 1103 then
        print(generation, count)
    end
end
