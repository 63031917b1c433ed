// The thing shadows of the AWS IoT Device SDK for JavaScript, version 1, on the
// thing's own shadow: every call and every event of that class. VARIANT is the
// QoS with which it registers.
'use strict';

const awsIot = require('aws-iot-device-sdk');
const device = require('./device');

const { thing } = device;
const shadows = awsIot.thingShadow({
  host: device.host,
  port: device.port,
  clientId: thing,
  certPath: device.certFile,
  keyPath: device.keyFile,
  caPath: device.caFile,
});

shadows.on('error', device.fail);
shadows.on('timeout', (name, token) => device.fail(`no answer to ${token} of ${name}`));
shadows.on('delta', (name, state) => device.tell(`delta ${name}`, state));
shadows.on('foreignStateChange', (name, operation, state) => device.tell(`foreign ${name} ${operation}`, state));

// answer is what becomes of a call that has given its token.
const answer = (call) => new Promise((resolve, reject) => {
  const token = call();
  if (token === null) {
    reject(new Error('the call was refused by the SDK: the one before it has no answer'));
    return;
  }
  shadows.once('status', (name, status, answered, state) => {
    if (answered !== token) reject(new Error(`answer to ${answered}, not ${token}`));
    device.tell(`${status} ${name}`, state);
    resolve();
  });
});
const event = (name) => new Promise((resolve) => shadows.once(name, resolve));
const register = () => new Promise((resolve, reject) => {
  shadows.register(thing, { qos: Number(device.variant), operationTimeout: 15000 }, (error, failed) => {
    if (error || failed) reject(error || failed);
    else resolve();
  });
});

async function main() {
  await event('connect');
  await register();
  device.say('registered');
  await answer(() => shadows.get(thing));
  await answer(() => shadows.update(thing, { state: { desired: { colour: 'red' } } }));
  await answer(() => shadows.update(thing, { state: { reported: { colour: 'red', lamps: [1, 2] } } }));
  await answer(() => shadows.update(thing, { state: { wanted: {} } }));
  const foreign = event('foreignStateChange');
  device.say('waiting');
  await foreign;
  // The SDK sends the version that it has heard last, here the other's.
  await answer(() => shadows.update(thing, { state: { reported: { colour: null } } }));
  await answer(() => shadows.get(thing, 'a token of our own'));
  await answer(() => shadows.delete(thing));
  await answer(() => shadows.get(thing));
  shadows.unregister(thing);
  shadows.end(false, () => device.say('bye'));
}

main().catch(device.fail);
