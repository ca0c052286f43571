-- SPDX-License-Identifier: MIT
-- Questions to the shop: joins, groups, windows, text search, a recursive one, each with a total order.

-- The best customers.
SELECT customer.id, name, town, count(DISTINCT purchase), sum(amount)
FROM sale JOIN customer ON customer.id = sale.customer
GROUP BY customer.id
ORDER BY sum(amount) DESC, customer.id
LIMIT 5;

-- Sales by town, those above the average only.
WITH by_town AS (
    SELECT town, sum(amount) AS amount, count(*) AS lines
    FROM sale JOIN customer ON customer.id = sale.customer
    GROUP BY town
)
SELECT town, amount, lines FROM by_town WHERE amount > (SELECT avg(amount) FROM by_town) ORDER BY town;

-- Each month's sales, the running total and the rank.
SELECT day / 31 AS month, sum(amount), sum(sum(amount)) OVER (ORDER BY day / 31),
    rank() OVER (ORDER BY sum(amount) DESC)
FROM sale
GROUP BY month
ORDER BY month;

-- The two dearest products of each kind, by a window over the whole table.
SELECT kind, place, name, price FROM (
    SELECT substr(name, instr(name, ' ') + 1, 5) AS kind, name, price,
        row_number() OVER (PARTITION BY substr(name, instr(name, ' ') + 1, 5) ORDER BY price DESC, id) AS place
    FROM product
)
WHERE place <= 2
ORDER BY kind, place;

-- How long customers stay away between two purchases.
SELECT max(gap), sum(gap), count(gap) FROM (
    SELECT day - lag(day) OVER (PARTITION BY customer ORDER BY day, id) AS gap FROM purchase
);

-- Text search.
SELECT count(*) FROM product WHERE description LIKE '%OAK%bed room%kept dry%';
SELECT name FROM product WHERE description LIKE '%steel%dining%' AND name NOT LIKE 'white%' ORDER BY id LIMIT 3;
SELECT count(*), min(name), max(name) FROM customer WHERE name GLOB '*[aeiou]l[aeiou]-*[05]';
SELECT count(*) FROM customer AS one JOIN customer AS other
    ON other.town = one.town AND other.name LIKE substr(one.name, 1, 3) || '%' AND other.id > one.id;

-- Products that are often bought together.
SELECT a.product, b.product, count(*)
FROM line AS a JOIN line AS b ON b.purchase = a.purchase AND b.product > a.product
GROUP BY a.product, b.product
ORDER BY count(*) DESC, a.product, b.product
LIMIT 4;

-- Those who never bought a lamp.
SELECT count(*), sum(credit) FROM customer
WHERE id NOT IN (SELECT customer FROM sale JOIN product ON product.id = sale.product WHERE product.name LIKE '% lamp %');

-- Long texts: everything that every customer bought, in one string.
SELECT count(*), sum(length(list)), max(length(list)) FROM (
    SELECT group_concat(name || ' (' || quantity || ')', '; ') AS list
    FROM (SELECT sale.customer, product.name, sale.quantity FROM sale JOIN product ON product.id = sale.product
        ORDER BY sale.customer, sale.purchase, product.id)
    GROUP BY customer
);
SELECT length(json), length(replace(json, 'red', 'crimson')), instr(json, 'table') FROM (
    SELECT group_concat('{"id":' || id || ',"name":"' || name || '","price":' || price || '}') AS json FROM product
);

-- A chain of purchases: from each to the next of the customer who is one further.
WITH RECURSIVE chain (step, id, customer, day) AS (
    SELECT 1, id, customer, day FROM purchase WHERE id = 1
    UNION ALL
    SELECT step + 1, next.id, next.customer, next.day
    FROM chain JOIN purchase AS next
        ON next.id = (SELECT min(id) FROM purchase WHERE customer = chain.customer + 1 AND id > chain.id)
)
SELECT count(*), max(id), sum(day) FROM chain;
