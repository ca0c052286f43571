# Objects, JSON, buffers and worker threads.
cat >test.js <<'SOURCE'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
function work(seed) {
  const items = [];
  for (let i = 0; i < 50000; i++) items.push({ id: i * seed, name: 'n' + (i % 997), list: [i, i + 1, String(i)] });
  const text = JSON.stringify(items);
  const back = JSON.parse(text);
  let sum = Buffer.from(text).reduce((a, b) => (a * 31 + b) % 1000000007, 7);
  for (let i = 0; i < 2000; i++) sum = (sum + Buffer.alloc(i * 10, i).length) % 1000000007;
  return `${text.length} ${back.length} ${sum}`;
}
if (isMainThread) {
  console.log(work(1));
  Promise.all([2, 3].map(seed => new Promise(done => new Worker(__filename, { workerData: seed }).on('message', done))))
    .then(results => results.forEach(result => console.log(result)));
} else parentPort.postMessage(work(workerData));
SOURCE
$UNDER node test.js
