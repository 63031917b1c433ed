// What the scripts beside this one share. Each is one real client whose standard
// output the Go test reads, line by line. Those named after a client alone echo:
// they subscribe to in/#, publish what they hear to out/THING, and leave once they
// have sent back "quit": by then their acknowledgements are out. Those named after
// shadows go through a session that they describe.
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

// tell tells the test of a document, without its times, which nobody can know.
exports.tell = (what, document) => {
  console.log(`${what} ${JSON.stringify(document, (key, value) => (key === 'timestamp' ? undefined : value))}`);
};

// tokenless is a document without the token that nobody can know.
exports.tokenless = ({ clientToken, ...rest }) => rest;

exports.filter = 'in/#';
exports.answer = `out/${thing}`;
