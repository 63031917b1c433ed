// The second shadow client of the AWS IoT Device SDK, version 2: requests are
// promises, events come in streams, and what the service rejects is a typed
// error. It makes its client tokens itself.
'use strict';

const { iotshadow } = require('aws-iot-device-sdk-v2');
const device = require('./device');
const direct = require('./direct');

// open opens a stream and waits until it is subscribed. The stream is over when
// it has brought as many messages as are expected.
async function open(stream, what, expected) {
  const ready = new Promise((resolve, reject) => {
    stream.on('subscriptionStatus', ({ type, error }) => (error ? reject(error) : resolve(type)));
  });
  let n = 0;
  const over = new Promise((resolve) => {
    stream.on('incomingPublish', ({ message }) => {
      device.tell(what, device.tokenless(message));
      if (++n === expected) resolve();
    });
  });
  stream.on('incomingPublishError', ({ error }) => device.fail(error));
  stream.open();
  await ready;
  return { over, close: () => stream.close() };
}

// atOnce makes many updates at once, of which each gets its own answer, and returns
// their versions. When it is told of the two subscriptions for the answers one by one, the
// SDK (aws-crt 1.33.1) now and then sends but some of the requests, and has the others
// time out: they are made again, if the shadow says that they have never come.
async function atOnce(request, n) {
  const versions = [];
  const update = async (n) => {
    const { state, version } = await request('update', { state: { reported: { n } } });
    if (state.reported.n !== n) throw new Error(`request ${n} got the answer to ${state.reported.n}`);
    versions.push(version);
  };
  const { version: before } = await request('get');
  for (let open = Array.from({ length: n }, (_, i) => i); open.length > 0;) {
    const results = await Promise.allSettled(open.map(update));
    open = open.filter((_, i) => results[i].status === 'rejected');
    const failed = results.find((r) => r.status === 'rejected');
    if (failed && (await request('get')).version !== before + versions.length) throw failed.reason;
  }
  return versions.sort((a, b) => a - b);
}

// session uses the shadow of that name, or the classic one.
async function session(client, shadowName) {
  const which = shadowName ? { thingName: device.thing, shadowName } : { thingName: device.thing };
  const kind = shadowName ? 'Named' : '';
  const streams = [
    await open(client[`create${kind}ShadowDeltaUpdatedStream`](which), 'delta', 1),
    await open(client[`create${kind}ShadowUpdatedStream`](which), 'documents', 2),
  ];
  const request = (operation, fields) => client[`${operation}${kind}Shadow`]({ ...which, ...fields });
  const tell = async (operation, fields) => {
    try {
      device.tell(`${operation} accepted`, device.tokenless(await request(operation, fields)));
    } catch (error) {
      if (!error.modeledError) throw error;
      device.tell(`${operation} rejected`, device.tokenless(error.modeledError));
    }
  };
  await tell('get');
  await tell('update', { state: { desired: { colour: 'red' } } });
  await tell('update', { state: { reported: { colour: 'red' } }, version: 1 });
  await tell('update', { state: { desired: { colour: 'blue' } }, version: 1 });
  await tell('get');
  for (const stream of streams) {
    await stream.over;
    stream.close();
  }

  device.say(`versions ${(await atOnce(request, 20)).join(' ')}`);
  await tell('delete');
  await tell('get');
}

async function main() {
  const { client, version, leave } = await direct.connect();
  const options = { maxRequestResponseSubscriptions: 6, maxStreamingSubscriptions: 4, operationTimeoutInSeconds: 10 };
  const shadows = version === 5
    ? iotshadow.IotShadowClientv2.newFromMqtt5(client, options)
    : iotshadow.IotShadowClientv2.newFromMqtt311(client, options);
  await session(shadows);
  device.say('named');
  await session(shadows, 'config');
  shadows.close();
  await leave();
  device.say('bye');
}

// The SDK keeps the loop alive for its native threads, so the end is ours.
main().then(() => process.exit(0), device.fail);
