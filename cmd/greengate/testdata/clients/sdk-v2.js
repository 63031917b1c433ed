// The AWS IoT Device SDK for JavaScript, version 2. It knows one port for
// discovery, 443, and takes address and CA of the broker from the answer.
// VARIANT is what follows discovery: mqtt311, mqtt5, or nothing at all.
'use strict';

const { iot, mqtt, mqtt5 } = require('aws-iot-device-sdk-v2');
const device = require('./device');
const { discover } = require('./discover');

async function mqtt311(core) {
  const config = iot.AwsIotMqttConnectionConfigBuilder
    .new_mtls_builder_from_path(device.certFile, device.keyFile)
    .with_certificate_authority(core.ca)
    .with_client_id(device.thing)
    .with_clean_session(false)
    .with_endpoint(core.host)
    .with_port(core.port)
    .build();
  const connection = new mqtt.MqttClient().new_connection(config);
  const quit = new Promise((resolve, reject) => {
    connection.on('message', async (topic, payload) => {
      const text = device.heard(topic, payload);
      await connection.publish(device.answer, text, mqtt.QoS.AtLeastOnce).catch(reject);
      if (text === 'quit') resolve();
    });
  });
  await connection.connect();
  const granted = await connection.subscribe(device.filter, mqtt.QoS.AtLeastOnce);
  device.say(`ready ${granted.qos}`);
  await quit;
  await connection.disconnect();
}

async function version5(core) {
  const config = iot.AwsIotMqtt5ClientConfigBuilder
    .newDirectMqttBuilderWithMtlsFromPath(core.host, device.certFile, device.keyFile)
    .withCertificateAuthority(core.ca)
    .withPort(core.port)
    .withConnectProperties({ clientId: device.thing, keepAliveIntervalSeconds: 60 })
    .build();
  const client = new mqtt5.Mqtt5Client(config);
  const connected = new Promise((resolve, reject) => {
    client.on('connectionSuccess', resolve);
    client.on('connectionFailure', ({ error }) => reject(error));
  });
  const stopped = new Promise((resolve) => client.on('stopped', resolve));
  const quit = new Promise((resolve, reject) => {
    client.on('messageReceived', async ({ message }) => {
      const text = device.heard(message.topicName, message.payload);
      await client.publish({ topicName: device.answer, payload: text, qos: mqtt5.QoS.AtLeastOnce }).catch(reject);
      if (text === 'quit') resolve();
    });
  });
  client.start();
  await connected;
  const suback = await client.subscribe({ subscriptions: [{ topicFilter: device.filter, qos: mqtt5.QoS.AtLeastOnce }] });
  device.say(`ready ${suback.reasonCodes[0]}`);
  await quit;
  // The SDK acknowledges a message when its listeners are through, and stop() drops what
  // it has not sent yet. The answer to one more packet says that all before it is out.
  await client.unsubscribe({ topicFilters: [device.filter] });
  client.stop();
  await stopped;
  client.close();
}

async function main() {
  let core;
  try {
    core = await discover();
  } catch (error) {
    if (!error.response_code) throw error;
    device.say(`refused ${error.response_code}`);
    return;
  }
  if (device.variant === 'mqtt311') await mqtt311(core);
  if (device.variant === 'mqtt5') await version5(core);
  device.say('bye');
}

// The SDK keeps the loop alive for its native threads, so the end is ours.
main().then(() => process.exit(0), device.fail);
