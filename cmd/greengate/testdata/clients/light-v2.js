// The light of the AWS tutorial with version 2 of the SDK, which begins with discovery:
// it takes address and CA of the broker from the answer, and reports the colour that a
// delta asks for, three times.
'use strict';

const { iot, iotshadow, mqtt } = require('aws-iot-device-sdk-v2');
const device = require('./device');
const { discover } = require('./discover');

async function main() {
  const core = await discover();
  const connection = new mqtt.MqttClient().new_connection(iot.AwsIotMqttConnectionConfigBuilder
    .new_mtls_builder_from_path(device.certFile, device.keyFile)
    .with_certificate_authority(core.ca)
    .with_client_id(device.thing)
    .with_clean_session(false)
    .with_endpoint(core.host)
    .with_port(core.port)
    .build());
  await connection.connect();
  const shadows = new iotshadow.IotShadowClient(connection);
  const which = { thingName: device.thing };
  let left = 3;
  let over;
  const done = new Promise((resolve) => { over = resolve; });
  await shadows.subscribeToUpdateShadowAccepted(which, mqtt.QoS.AtLeastOnce, (error, { state }) => {
    if (error) device.fail(error);
    if (!state.reported) return; // the switch's
    device.say(`accepted ${JSON.stringify(state)}`);
    left -= 1;
    if (left === 0) over();
  });
  await shadows.subscribeToUpdateShadowRejected(which, mqtt.QoS.AtLeastOnce, (error, answer) => device.fail(error || answer));
  await shadows.subscribeToShadowDeltaUpdatedEvents(which, mqtt.QoS.AtLeastOnce, (error, { state }) => {
    if (error) device.fail(error);
    shadows.publishUpdateShadow({ ...which, state: { reported: { property: state.property } } }, mqtt.QoS.AtLeastOnce).catch(device.fail);
  });
  device.say('ready');
  await done;
  await connection.disconnect();
  device.say('bye');
}

// The SDK keeps the loop alive for its native threads, so the end is ours.
main().then(() => process.exit(0), device.fail);
