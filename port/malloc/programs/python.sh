# Threads and JSON, with all objects from malloc.
cat >test.py <<'SOURCE'
import json, threading, zlib
results = {}
def work(seed):
    table = {}
    for i in range(60000):
        table.setdefault(str(i * 7919 % 10007), []).append({"id": i, "text": "x" * (i * seed % 50)})
    text = json.dumps(table, sort_keys=True)
    results[seed] = (len(text), zlib.crc32(text.encode()), len(json.loads(text)))
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 5)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(results.items()))
SOURCE
PYTHONMALLOC=malloc $UNDER /usr/bin/python3 -S test.py
