# A page that builds itself, written out as it is then, and drawn.
cat >page.html <<'SOURCE'
<!doctype html>
<meta charset="utf-8">
<style>body { margin: 0; font: 12px monospace } .c0 { background: #fc8 } .c1 { background: #8cf } .c2 { color: #040 }</style>
<body><script>
let sum = 0;
for (let i = 0; i < 3000; i++) {
  const line = document.createElement('p');
  line.className = 'c' + i % 3;
  line.textContent = JSON.stringify({ i, square: i * i, words: Array.from({ length: i % 9 }, (_, n) => 'w' + n * i) });
  document.body.append(line);
  sum = (sum * 31 + line.textContent.length) % 1000000007;
}
for (let i = 0; i < 1000; i++) document.body.children[i + 1].remove();
document.title = 'sum ' + sum + ' of ' + document.querySelectorAll('p').length;
</script>
SOURCE
browse() {
    $UNDER chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$PWD/profile" \
        --window-size=800,600 "$@" "file://$PWD/page.html" 2>>errors
}
browse --dump-dom | sed "s|$PWD||" >dom
grep -o '<title>.*</title>' dom
cksum <dom
browse --screenshot="$PWD/page.png" >/dev/null
cksum <page.png
grep '^knoll: ' errors || true # what the library says of a misuse, in whichever of its processes
