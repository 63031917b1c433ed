// What the scripts beside this one share: each is one real client that echoes.
// It subscribes to in/#, publishes what it hears to out/THING, and leaves once it
// has sent back "quit": by then its acknowledgements are out. Its standard output is what the Go test reads, line by line.
//
//   node SCRIPT.js HOST PORT THING FOLDER [VARIANT]
'use strict';

const fs = require('fs');
const path = require('path');

const [host, port, thing, folder, variant] = process.argv.slice(2);

exports.host = host;
exports.port = Number(port);
exports.thing = thing;
exports.variant = variant;
exports.certFile = path.join(folder, `${thing}.cert.pem`);
exports.keyFile = path.join(folder, `${thing}.private.key`);
exports.caFile = path.join(folder, 'root-ca.pem');
exports.read = (file) => fs.readFileSync(file);

exports.say = (line) => console.log(line);

exports.fail = (error) => {
  console.error(error);
  process.exit(1);
};

// heard tells the test of a message and returns its text.
exports.heard = (topic, payload) => {
  const text = Buffer.from(payload).toString();
  console.log(`heard ${topic} ${text}`);
  return text;
};

exports.filter = 'in/#';
exports.answer = `out/${thing}`;
