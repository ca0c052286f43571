-- SPDX-License-Identifier: MIT
-- A small Lisp: reads a program into lists, evaluates it with an environment for each call. Deep recursion, closures, and
-- small tables by the hundred thousand.
-- Known: (fib 15) is 610, there are 25 primes below 100, (ackermann 2 3) is 9, hanoi with 8 discs takes 255 moves.

local load = LOAD or 10

local program = [[
(define (fib n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
(define (ackermann m n)
  (if (= m 0) (+ n 1)
    (if (= n 0) (ackermann (- m 1) 1)
      (ackermann (- m 1) (ackermann m (- n 1))))))
(define (range from to) (if (< to from) nil (cons from (range (+ from 1) to))))
(define (filter keep list)
  (if (null? list) nil
    (if (keep (head list)) (cons (head list) (filter keep (tail list))) (filter keep (tail list)))))
(define (sieve list)
  (if (null? list) nil
    (cons (head list)
      (sieve (filter (lambda (n) (if (= (% n (head list)) 0) nil true)) (tail list))))))
(define (length list) (if (null? list) 0 (+ 1 (length (tail list)))))
(define (sum list) (if (null? list) 0 (+ (head list) (sum (tail list)))))
(define (map f list) (if (null? list) nil (cons (f (head list)) (map f (tail list)))))
(define (hanoi n) (if (= n 0) 0 (+ (hanoi (- n 1)) (+ 1 (hanoi (- n 1))))))
(define (compose f g) (lambda (x) (f (g x))))
(define (repeat f n) (if (= n 0) (lambda (x) x) (compose f (repeat f (- n 1)))))
(define (join a b) (if (null? a) b (cons (head a) (join (tail a) b))))
(define (quicksort list)
  (if (null? list) nil
    (join (quicksort (filter (lambda (n) (< n (head list))) (tail list)))
      (cons (head list)
        (quicksort (filter (lambda (n) (if (< n (head list)) nil true)) (tail list)))))))
]]

local NIL = setmetatable({}, { __name = "nil" })

local function read(text)
    local lists = { {} }
    for token in text:gsub("[()]", " %0 "):gmatch("%S+") do
        if token == "(" then
            lists[#lists + 1] = {}
        elseif token == ")" then
            local list = table.remove(lists)
            table.insert(lists[#lists], list)
        else
            table.insert(lists[#lists], math.tointeger(token) or token)
        end
    end
    return lists[1]
end

local globals = {
    ["nil"] = NIL,
    ["true"] = true,
    ["+"] = function(a, b) return a + b end,
    ["-"] = function(a, b) return a - b end,
    ["*"] = function(a, b) return a * b end,
    ["%"] = function(a, b) return a % b end,
    ["="] = function(a, b) return a == b or NIL end,
    ["<"] = function(a, b) return a < b or NIL end,
    ["null?"] = function(a) return a == NIL or NIL end,
    cons = function(a, b) return { head = a, tail = b } end,
    head = function(list) return list.head end,
    tail = function(list) return list.tail end,
}

local evaluate

local function closure(parameters, body, environment)
    return function(...)
        local inner = setmetatable({}, { __index = environment })
        for i, parameter in ipairs(parameters) do
            inner[parameter] = select(i, ...)
        end
        return evaluate(body, inner)
    end
end

local special = {
    ["if"] = function(form, environment)
        local chosen = evaluate(form[2], environment) ~= NIL and form[3] or form[4]
        return evaluate(chosen, environment)
    end,
    lambda = function(form, environment)
        return closure(form[2], form[3], environment)
    end,
    define = function(form, environment)
        local parameters = table.move(form[2], 2, #form[2], 1, {})
        globals[form[2][1]] = closure(parameters, form[3], environment)
        return NIL
    end,
}

function evaluate(form, environment)
    if type(form) == "number" then
        return form
    elseif type(form) == "string" then
        local value = environment[form]
        return value == nil and error("no value for " .. form) or value
    elseif special[form[1]] then
        return special[form[1]](form, environment)
    end
    local values = {}
    for i, part in ipairs(form) do
        values[i] = evaluate(part, environment)
    end
    return values[1](table.unpack(values, 2))
end

local function shown(value)
    if type(value) ~= "table" then
        return tostring(value)
    end
    local parts = {}
    while value ~= NIL do
        parts[#parts + 1] = shown(value.head)
        value = value.tail
    end
    return "(" .. table.concat(parts, " ") .. ")"
end

for _, form in ipairs(read(program)) do
    evaluate(form, globals)
end

local questions = load > 1 and {
    "(fib 15)",
    "(ackermann 2 3)",
    "(sieve (range 2 100))",
    "(length (sieve (range 2 100)))",
    "(sum (map (lambda (n) (* n n)) (range 1 150)))",
    "(hanoi 8)",
    "((repeat (lambda (x) (+ x 3)) 100) 1)",
    "(quicksort (map (lambda (n) (% (* n 37) 101)) (range 1 60)))",
} or {
    "(fib 6)",
    "(ackermann 1 2)",
    "(sieve (range 2 20))",
    "(hanoi 4)",
    "(quicksort (map (lambda (n) (% (* n 7) 11)) (range 1 8)))",
}
for _, question in ipairs(questions) do
    print(question, shown(evaluate(read(question)[1], globals)))
end
