// A connection of the AWS IoT Device SDK, version 2, straight to the broker:
// what the scripts about shadows begin with. VARIANT is mqtt311 or mqtt5.
'use strict';

const { iot, mqtt, mqtt5 } = require('aws-iot-device-sdk-v2');
const device = require('./device');

async function mqtt311() {
  const connection = new mqtt.MqttClient().new_connection(iot.AwsIotMqttConnectionConfigBuilder
    .new_mtls_builder_from_path(device.certFile, device.keyFile)
    .with_certificate_authority(device.read(device.caFile).toString())
    .with_client_id(device.thing)
    .with_clean_session(true)
    .with_endpoint(device.host)
    .with_port(device.port)
    .build());
  await connection.connect();
  return { client: connection, version: 3, leave: () => connection.disconnect() };
}

async function version5() {
  const client = new mqtt5.Mqtt5Client(iot.AwsIotMqtt5ClientConfigBuilder
    .newDirectMqttBuilderWithMtlsFromPath(device.host, device.certFile, device.keyFile)
    .withCertificateAuthority(device.read(device.caFile).toString())
    .withPort(device.port)
    .withConnectProperties({ clientId: device.thing, keepAliveIntervalSeconds: 60 })
    .build());
  const connected = new Promise((resolve, reject) => {
    client.on('connectionSuccess', resolve);
    client.on('connectionFailure', ({ error }) => reject(error));
  });
  client.start();
  await connected;
  return {
    client,
    version: 5,
    leave: async () => {
      const stopped = new Promise((resolve) => client.on('stopped', resolve));
      client.stop();
      await stopped;
      client.close();
    },
  };
}

exports.connect = device.variant === 'mqtt5' ? version5 : mqtt311;
