# All its data types, under load from several clients; then the same commands with known answers.
$UNDER redis-server --port 0 --unixsocket "$PWD/socket" --save '' --appendonly no --dir "$PWD" --io-threads 2 >log 2>&1 &
server=$!
until redis-cli -s socket ping >/dev/null 2>&1; do
    kill -0 $server || exit 1 # it has ended
    sleep 0.1
done
redis-benchmark -s socket -q -n 5000 -r 2000 -d 300 -c 20 -t set,get,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,lrange_100,mset >/dev/null
redis-cli -s socket flushall
for ((i = 0; i < 8000; i++)); do
    echo "hset hash$((i % 97)) field$i $((i * i))"
    echo "zadd set$((i % 89)) $((i % 1009)) member$i"
    echo "append text$((i % 83)) $i"
done | redis-cli -s socket | sort | cksum
redis-cli -s socket dbsize
redis-cli -s socket --no-raw zrange set7 0 5
redis-cli -s socket strlen text5
redis-cli -s socket shutdown nosave || true
wait $server
grep -ci 'crash\|assert\|ld\.so' log || true
