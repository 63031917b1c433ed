// The AWS IoT Device SDK for JavaScript, version 1.
'use strict';

const awsIot = require('aws-iot-device-sdk');
const device = require('./device');

const client = awsIot.device({
  host: device.host,
  port: device.port,
  clientId: device.thing,
  certPath: device.certFile,
  keyPath: device.keyFile,
  caPath: device.caFile,
});

client.on('error', device.fail);
client.on('connect', () => {
  client.subscribe(device.filter, { qos: 1 }, (error, granted) => {
    if (error) device.fail(error);
    device.say(`ready ${granted[0].qos}`);
  });
});
client.on('message', (topic, payload) => {
  const text = device.heard(topic, payload);
  client.publish(device.answer, text, { qos: 1 }, (error) => {
    if (error) device.fail(error);
    if (text === 'quit') client.end(false, () => device.say('bye'));
  });
});
