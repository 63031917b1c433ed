// The plain data plane client of the AWS SDK for JavaScript, version 3, driven by
// the test, as iot-data.py beside it is.
//
//   node iot-data.js ENDPOINT THING FOLDER
'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const sdk = require('@aws-sdk/client-iot-data-plane');

const [endpoint, thing, folder] = process.argv.slice(2);
const read = (name) => fs.readFileSync(path.join(folder, name));

const client = new sdk.IoTDataPlaneClient({
  endpoint,
  region: 'us-east-1',
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  requestHandler: {
    httpsAgent: { ca: read('root-ca.pem'), cert: read(`${thing}.cert.pem`), key: read(`${thing}.private.key`) },
  },
});

const plain = (value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value);

async function carryOut({ op, params }) {
  if (params.payload !== undefined) params.payload = Buffer.from(params.payload);
  if (params.userProperties !== undefined) params.userProperties = JSON.stringify(params.userProperties);
  try {
    const { $metadata, ...result } = await client.send(new sdk[`${op}Command`](params));
    for (const key of Object.keys(result)) result[key] = plain(result[key]);
    return { result, id: $metadata.requestId };
  } catch (error) {
    if (!error.$metadata) throw error;
    const { $metadata, name, message } = error;
    return { error: { name, message, status: $metadata.httpStatusCode }, id: $metadata.requestId };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await carryOut(JSON.parse(line))));
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
