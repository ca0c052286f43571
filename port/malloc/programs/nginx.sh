# Static files under many requests.
mkdir -p logs
for ((i = 1; i <= 20; i++)); do seq $((i * 1000)) >"file$i"; done
cat >nginx.conf <<CONFIGURATION
daemon off;
pid $PWD/nginx.pid;
error_log $PWD/error.log;
worker_processes 2;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $PWD/body;
    proxy_temp_path $PWD/proxy;
    fastcgi_temp_path $PWD/fastcgi;
    uwsgi_temp_path $PWD/uwsgi;
    scgi_temp_path $PWD/scgi;
    gzip on;
    gzip_types application/octet-stream;
    server { listen unix:$PWD/socket; root $PWD; }
}
CONFIGURATION
chmod 755 "$PWD"
$UNDER nginx -p "$PWD" -c nginx.conf -e "$PWD/error.log" &
server=$!
while [[ ! -S socket ]]; do
    kill -0 $server || exit 1 # it has ended
    sleep 0.1
done
for ((round = 0; round < 30; round++)); do
    for ((i = 1; i <= 20; i++)); do
        curl -s --unix-socket socket --compressed "http://localhost/file$i" | cksum
    done
done
kill -QUIT $server
wait $server
grep -c 'emerg\|crit\|alert' error.log || true
