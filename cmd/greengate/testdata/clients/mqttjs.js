// MQTT.js; VARIANT is the protocol version, 4 (MQTT 3.1.1) or 5.
'use strict';

const mqtt = require('mqtt');
const device = require('./device');

const client = mqtt.connect({
  protocol: 'mqtts',
  host: device.host,
  port: device.port,
  protocolVersion: Number(device.variant),
  clientId: device.thing,
  cert: device.read(device.certFile),
  key: device.read(device.keyFile),
  ca: device.read(device.caFile),
  reconnectPeriod: 0,
});

client.on('error', device.fail);
client.on('connect', () => {
  client.subscribe(device.filter, { qos: 2 }, (error, granted) => {
    if (error) device.fail(error);
    device.say(`ready ${granted[0].qos}`);
  });
});
client.on('message', (topic, payload, packet) => {
  const text = device.heard(topic, payload);
  client.publish(device.answer, text, { qos: packet.qos }, (error) => {
    if (error) device.fail(error);
    if (text === 'quit') client.end(false, () => device.say('bye'));
  });
});
