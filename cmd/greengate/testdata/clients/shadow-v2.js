// The first shadow client of the AWS IoT Device SDK, version 2: it publishes
// requests and listens to the topics of the answers, and the program itself
// matches them by client token.
'use strict';

const { iotshadow, mqtt } = require('aws-iot-device-sdk-v2');
const device = require('./device');
const direct = require('./direct');

// QoS 0 and 1, request by request.
const levels = [mqtt.QoS.AtMostOnce, mqtt.QoS.AtLeastOnce];

// session uses the shadow of that name, or the classic one.
async function session(client, shadowName) {
  const which = shadowName ? { thingName: device.thing, shadowName } : { thingName: device.thing };
  const kind = shadowName ? 'Named' : '';
  const waiting = new Map();
  const settle = (status) => (error, message) => {
    if (error) device.fail(error);
    device.tell(status, message);
    const done = waiting.get(message.clientToken);
    if (waiting.delete(message.clientToken)) done();
  };
  const listen = (name, handler) => client[`subscribeTo${name}`](which, mqtt.QoS.AtLeastOnce, handler);
  for (const operation of ['Get', 'Update', 'Delete']) {
    for (const status of ['Accepted', 'Rejected']) {
      await listen(`${operation}${kind}Shadow${status}`, settle(`${operation} ${status}`));
    }
  }
  // The SDK keeps the order of one subscription only, so these may come late.
  let events = 0;
  let over;
  const allEvents = new Promise((resolve) => { over = resolve; });
  const happened = (what) => (error, message) => {
    if (error) device.fail(error);
    device.tell(what, message);
    if (++events === 3) over();
  };
  await listen(`${kind}ShadowDeltaUpdatedEvents`, happened('delta'));
  await listen(`${kind}ShadowUpdatedEvents`, happened('documents'));

  let n = 0;
  const request = async (operation, fields) => {
    const clientToken = `token-${n++}`;
    const answered = new Promise((resolve) => waiting.set(clientToken, resolve));
    await client[`publish${operation}${kind}Shadow`]({ ...which, clientToken, ...fields }, levels[n % 2]);
    await answered;
  };
  await request('Get');
  await request('Update', { state: { desired: { colour: 'red' } } });
  await request('Update', { state: { reported: { colour: 'red' } }, version: 1 });
  await request('Update', { state: { desired: { colour: 'blue' } }, version: 1 });
  await request('Get');
  await request('Delete');
  await allEvents;
}

async function main() {
  const { client, version, leave } = await direct.connect();
  const shadows = version === 5
    ? iotshadow.IotShadowClient.newFromMqtt5Client(client)
    : new iotshadow.IotShadowClient(client);
  await session(shadows);
  device.say('named');
  await session(shadows, 'config');
  await leave();
  device.say('bye');
}

// The SDK keeps the loop alive for its native threads, so the end is ours.
main().then(() => process.exit(0), device.fail);
