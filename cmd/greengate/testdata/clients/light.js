// The traffic light of the AWS tutorial with version 1 of the SDK. With a colour
// as VARIANT it is the switch, which sets what the light shall show; without one it
// is the light, which reports the colour that a delta asks for, three times.
'use strict';

const awsIot = require('aws-iot-device-sdk');
const device = require('./device');

const light = 'GG_TrafficLight';
const shadows = awsIot.thingShadow({
  host: device.host,
  port: device.port,
  clientId: device.thing,
  certPath: device.certFile,
  keyPath: device.keyFile,
  caPath: device.caFile,
});

shadows.on('error', device.fail);
shadows.on('timeout', (name, token) => device.fail(`no answer to ${token}`));

const event = (name) => new Promise((resolve) => shadows.once(name, (...values) => resolve(values)));
const update = async (state) => {
  const answered = event('status');
  shadows.update(light, { state });
  const [, status] = await answered;
  device.say(`${status} ${JSON.stringify(state)}`);
};

// Like the tutorial's programs, neither sends the version that it knows.
async function main() {
  await event('connect');
  await new Promise((resolve, reject) => {
    shadows.register(light, { enableVersioning: false, ignoreDeltas: device.variant !== '' },
      (error, failed) => (error || failed ? reject(error || failed) : resolve()));
  });
  device.say('ready');
  if (device.variant !== '') {
    await update({ desired: { property: device.variant } });
  } else {
    for (let n = 0; n < 3; n++) {
      const [, { state }] = await event('delta');
      await update({ reported: { property: state.property } });
    }
  }
  shadows.end(false, () => device.say('bye'));
}

main().catch(device.fail);
