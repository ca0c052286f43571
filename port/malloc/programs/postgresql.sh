# A cluster of its own, pgbench with a fixed seed, and the sums it leaves.
programs=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
user=()
if [[ $(id -u) -eq 0 ]]; then # which it refuses
    chown nobody .
    chmod 755 .
    user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
as() { "${user[@]}" $UNDER "$@"; }
export PGHOST=$PWD PGUSER=tester PGDATABASE=postgres
as "$programs/initdb" -D data -U tester --no-sync >/dev/null
as "$programs/pg_ctl" -D data -w -l log -o "-k $PWD -c listen_addresses= -c fsync=off" start >/dev/null
as "$programs/pgbench" -i -q -s 2 2>/dev/null
as "$programs/pgbench" -c 1 -t 1000 --random-seed=7 2>/dev/null | grep 'transactions actually processed'
as "$programs/pgbench" -n -c 4 -j 2 -T 3 -S 2>/dev/null | grep -c 'number of failed transactions: 0 '
as "$programs/psql" -At -c 'select sum(abalance), count(*) from pgbench_accounts' -c 'select count(*) from pgbench_history' \
    -c "select md5(string_agg(aid::text || abalance::text, ',' order by aid)) from pgbench_accounts"
as "$programs/pg_ctl" -D data -w -m fast stop >/dev/null
