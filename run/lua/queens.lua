-- SPDX-License-Identifier: MIT
-- The n queens problem. Coroutines yield every solution as a new table; those that are turns or mirror images of one another
-- are told apart by their names, strings, so the heap sees short-lived tables and a set of strings that stays.
-- Known: 4, 40, 92, 352 solutions on boards of 6, 7, 8, 9, and 1, 6, 12, 46 that are truly different.

local load = LOAD or 10

local function solutions(n)
    local row, column_taken, rising, falling = {}, {}, {}, {}
    local function place(column)
        if column > n then
            coroutine.yield(table.move(row, 1, n, 1, {}))
            return
        end
        for r = 1, n do
            if not (column_taken[r] or rising[r + column] or falling[r - column + n]) then
                row[column] = r
                column_taken[r], rising[r + column], falling[r - column + n] = true, true, true
                place(column + 1)
                column_taken[r], rising[r + column], falling[r - column + n] = nil, nil, nil
            end
        end
    end
    return coroutine.wrap(function() place(1) end)
end

local function turned(board)
    local n, result = #board, {}
    for column, row in ipairs(board) do
        result[n + 1 - row] = column
    end
    return result
end

local function mirrored(board)
    local n, result = #board, {}
    for column, row in ipairs(board) do
        result[n + 1 - column] = row
    end
    return result
end

-- The least of the eight names of a board: the same for all eight.
local function name(board)
    local least
    for _ = 1, 2 do
        for _ = 1, 4 do
            local text = table.concat(board, " ")
            if not least or text < least then
                least = text
            end
            board = turned(board)
        end
        board = mirrored(board)
    end
    return least
end

for n = load > 1 and 6 or 5, load > 1 and 9 or 6 do
    local count, different, seen = 0, 0, {}
    for board in solutions(n) do
        count = count + 1
        local least = name(board)
        if not seen[least] then
            seen[least] = true
            different = different + 1
        end
    end
    print(n, count, different)
end
