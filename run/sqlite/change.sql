-- SPDX-License-Identifier: MIT
-- Updates, deletes, upserts, a rollback, a trigger, a change of the schema, and the sums that show what they did.

-- A price rise that is taken back.
BEGIN;
UPDATE product SET price = price * 3, description = description || ' ' || description WHERE id % 2 = 0;
SELECT 'dear', sum(price), sum(length(description)) FROM product;
ROLLBACK;
SELECT 'as before', sum(price), sum(length(description)) FROM product;

-- Credit by what was bought.
UPDATE customer SET credit = credit + (SELECT coalesce(sum(amount) / 100, 0) FROM sale WHERE sale.customer = customer.id);
SELECT 'credit', sum(credit), max(credit) FROM customer;

-- A history that a trigger keeps.
CREATE TABLE history (id INTEGER PRIMARY KEY, product INTEGER, before INTEGER, after INTEGER, note TEXT);
CREATE TRIGGER product_price AFTER UPDATE OF price ON product BEGIN
    INSERT INTO history (product, before, after, note)
        VALUES (old.id, old.price, new.price, 'changed from ' || old.price || ' to ' || new.price || hex(zeroblob(new.id % 300)));
END;
BEGIN;
UPDATE product SET price = price + 100 WHERE price < 4000;
UPDATE product SET price = price * 9 / 10 WHERE name LIKE 'red %' OR name LIKE '% shelf %';
SAVEPOINT sale;
UPDATE product SET price = price / 2;
ROLLBACK TO sale;
RELEASE sale;
COMMIT;
SELECT 'history', count(*), sum(after - before), sum(length(note)) FROM history;

-- Old purchases go, lines first, in one transaction; a quarter is left.
BEGIN;
DELETE FROM line WHERE purchase IN (SELECT id FROM purchase WHERE day % 4 <> 0);
DELETE FROM purchase WHERE day % 4 <> 0;
COMMIT;
SELECT 'left', count(*), sum(amount) FROM sale;

-- Upserts: half of the ids are new.
INSERT INTO customer
    SELECT id * 2, 'again ' || name, town, credit FROM customer WHERE true
    ON CONFLICT (id) DO UPDATE SET name = excluded.name || ' and ' || customer.name, credit = customer.credit + 1;
SELECT 'upserted', count(*), sum(credit), sum(length(name)), count(DISTINCT town) FROM customer;

-- A change of the schema, and an index over an expression.
ALTER TABLE customer ADD COLUMN initial TEXT GENERATED ALWAYS AS (upper(substr(name, -9, 1)));
CREATE INDEX customer_length ON customer (length(name), initial);
SELECT length(name), count(*), count(DISTINCT initial) FROM customer GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 4;
