// Discovery by the AWS IoT Device SDK, version 2.
'use strict';

const { greengrass, io } = require('aws-iot-device-sdk-v2');
const device = require('./device');

exports.discover = async function discover() {
  const tls = new io.TlsContextOptions();
  tls.override_default_trust_store_from_path(undefined, device.caFile);
  tls.certificate_filepath = device.certFile;
  tls.private_key_filepath = device.keyFile;
  const client = new greengrass.DiscoveryClient(
    new io.ClientBootstrap(),
    new io.SocketOptions(io.SocketType.STREAM, io.SocketDomain.IPV4, 5000),
    new io.ClientTlsContext(tls),
    'eu-west-1',
    device.host,
  );
  const { gg_groups: groups } = await client.discover(device.thing);
  const group = groups[0];
  const core = group.cores[0];
  const at = core.connectivity[0];
  device.say(`discovered ${group.gg_group_id} ${core.thing_arn} ${core.connectivity.length} ${at.host_address}:${at.port}`);
  return { host: at.host_address, port: at.port, ca: group.certificate_authorities[0] };
};
