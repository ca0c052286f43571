# Tables, indices, joins, text and a vacuum.
$UNDER sqlite3 test.db <<'SQL'
create table numbers (n integer primary key, square integer, text);
with recursive c(n) as (values (1) union all select n + 1 from c where n < 200000)
    insert into numbers select n, n * n % 10007, printf('%x-%d', n * 7919, n) from c;
create index by_square on numbers (square);
select count(*), sum(square), max(text) from numbers;
select a.square, count(*), group_concat(b.n) from numbers a join numbers b on b.n = a.square group by a.square order by 2 desc, 1 limit 5;
delete from numbers where n % 3 = 0;
update numbers set text = text || square where n % 5 = 0;
vacuum;
select count(*), sum(length(text)) from numbers;
pragma integrity_check;
SQL
cksum <test.db | cut -d' ' -f2
