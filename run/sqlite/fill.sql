-- SPDX-License-Identifier: MIT
-- The schema of a shop and its data, made by arithmetic so that they are always the same. The table "load", which the
-- caller makes, says how much of it there is: 150 customers, 1000 purchases and 3000 lines for each unit.

CREATE TABLE customer (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    town TEXT NOT NULL,
    credit INTEGER NOT NULL CHECK (credit >= 0)
);
CREATE TABLE product (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    price INTEGER NOT NULL
);
CREATE TABLE purchase (
    id INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL REFERENCES customer (id),
    day INTEGER NOT NULL
);
CREATE TABLE line (
    purchase INTEGER NOT NULL REFERENCES purchase (id),
    number INTEGER NOT NULL,
    product INTEGER NOT NULL REFERENCES product (id),
    quantity INTEGER NOT NULL,
    PRIMARY KEY (purchase, number)
) WITHOUT ROWID;
CREATE INDEX customer_town ON customer (town, name);
CREATE INDEX purchase_customer ON purchase (customer, day);
CREATE INDEX line_product ON line (product);
CREATE VIEW sale AS
    SELECT purchase.id AS purchase, purchase.day, purchase.customer, line.product, line.quantity,
        line.quantity * product.price AS amount
    FROM purchase
    JOIN line ON line.purchase = purchase.id
    JOIN product ON product.id = line.product;

-- r is Park and Miller's generator.
BEGIN;
WITH RECURSIVE
    n (i, r) AS (SELECT 1, 11 UNION ALL SELECT i + 1, r * 48271 % 2147483647 FROM n, load WHERE i < 150 * factor)
INSERT INTO customer
    SELECT i,
        substr('ABCDEFGHIKLMNOPRSTVW', r % 20 + 1, 1) || substr('aeiou', r / 20 % 5 + 1, 1)
            || substr('lmnrst', r / 100 % 6 + 1, 1) || substr('aeiou', r / 600 % 5 + 1, 1) || printf('-%04d', i),
        CASE r % 7 WHEN 0 THEN 'Aarhus' WHEN 1 THEN 'Bergen' WHEN 2 THEN 'Cork' WHEN 3 THEN 'Delft'
            WHEN 4 THEN 'Evora' WHEN 5 THEN 'Faro' ELSE 'Ghent' END,
        r % 5000
    FROM n;
WITH RECURSIVE
    n (i, r) AS (SELECT 1, 22 UNION ALL SELECT i + 1, r * 48271 % 2147483647 FROM n, load WHERE i < 50 + 20 * factor)
INSERT INTO product
    SELECT i,
        printf('%s %s %d',
            CASE r % 5 WHEN 0 THEN 'red' WHEN 1 THEN 'green' WHEN 2 THEN 'blue' WHEN 3 THEN 'black' ELSE 'white' END,
            CASE r / 5 % 4 WHEN 0 THEN 'chair' WHEN 1 THEN 'table' WHEN 2 THEN 'lamp' ELSE 'shelf' END,
            i),
        CASE WHEN i % 9 = 0 THEN NULL
            ELSE printf('Made of %s for the %s room. ',
                CASE r / 20 % 3 WHEN 0 THEN 'oak' WHEN 1 THEN 'pine' ELSE 'steel' END,
                CASE r / 60 % 7 WHEN 0 THEN 'living' WHEN 1 THEN 'dining' ELSE 'bed' END)
                || substr('It lasts a lifetime if it is kept dry, clean and out of the sun.', 1, r / 420 % 65) END,
        500 + r % 9500
    FROM n;
COMMIT;

BEGIN;
WITH RECURSIVE
    n (i, r) AS (SELECT 1, 33 UNION ALL SELECT i + 1, r * 48271 % 2147483647 FROM n, load WHERE i < 1000 * factor)
INSERT INTO purchase SELECT i, r % (SELECT 150 * factor FROM load) + 1, r / 2000 % 365 FROM n;
WITH RECURSIVE
    digit (d) AS (VALUES (1) UNION ALL SELECT d + 1 FROM digit WHERE d < 5)
INSERT INTO line
    SELECT id, d, (id * 48271 + d * 16807) % 2147483647 % (SELECT 50 + 20 * factor FROM load) + 1, (id + d) % 9 + 1
    FROM purchase JOIN digit ON d <= id % 5 + 1;
COMMIT;

SELECT 'customers', count(*), sum(credit) FROM customer;
SELECT 'products', count(*), sum(price), sum(length(description)) FROM product;
SELECT 'purchases', count(*), sum(customer), sum(day) FROM purchase;
SELECT 'lines', count(*), sum(product), sum(quantity) FROM line;
PRAGMA foreign_key_check;
