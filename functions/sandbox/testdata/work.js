// What a decent function of Node does; it ends with an error if it may not.
const { execFileSync, fork } = require('child_process');
const dns = require('dns/promises'), fs = require('fs'), http = require('http'), os = require('os'), path = require('path');
const { Worker, isMainThread } = require('worker_threads');
const assert = require('assert');

async function main() {
  let sum = 0; // hot enough to be compiled
  for (let i = 0; i < 3e7; i++) sum = (sum + i * 31) % 1000003;
  assert(sum > 0);
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'x-')), 'file');
  fs.writeFileSync(file, 'x');
  assert.equal(execFileSync('cat', [file], { encoding: 'utf8' }), 'x');
  const child = fork(__filename, ['child']);
  assert.equal(await new Promise((done, failed) => child.once('message', done).once('error', failed)), 'hello');
  await new Promise((done) => child.once('exit', done).kill());
  const server = http.createServer((request, response) => response.end('pong')).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  assert.equal(await (await fetch(`http://127.0.0.1:${server.address().port}/`)).text(), 'pong');
  server.close().closeAllConnections();
  await assert.rejects(dns.lookup('greengate.invalid'));
  await new Promise((done, failed) => new Worker(__filename).once('exit', done).once('error', failed));
  os.networkInterfaces();
  os.cpus();
  console.log('all went well');
}

if (process.argv[2] === 'child') { process.send('hello'); process.on('message', () => {}); } else if (isMainThread) main();
