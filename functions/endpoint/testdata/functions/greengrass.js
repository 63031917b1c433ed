// Does with aws-greengrass-core-sdk itself what greengrass_shims.py does in Python.
'use strict';

const assert = require('assert');
const { promisify } = require('util');
const sdk = require('aws-greengrass-core-sdk');

const iot = new sdk.IotData();
const functions = new sdk.Lambda();
const does = (object, name) => promisify(object[name].bind(object));
const arn = 'arn:aws:lambda:eu-west-1:123456789012:function:';

(async () => {
  await does(iot, 'publish')({ topic: 'a/ä', payload: '{"x": 1}' });
  await does(iot, 'publish')({ topic: 'full', payload: Buffer.from('lost') });
  await assert.rejects(does(iot, 'publish')({ topic: 'full', payload: 'told', queueFullPolicy: 'AllOrError' }));
  await assert.rejects(does(iot, 'publish')({ topic: 'a/#', payload: 'no topic' }));
  let answer = await does(iot, 'getThingShadow')({ thingName: 'lamp' });
  assert.deepStrictEqual(JSON.parse(answer.Payload), { state: { reported: { a: 'ä' } } });
  await does(iot, 'updateThingShadow')({ thingName: 'lamp', payload: '{"state":{}}' });
  await does(iot, 'deleteThingShadow')({ thingName: 'lamp' });
  answer = await does(iot, 'getThingShadow')({ thingName: 'nobody' });
  assert.strictEqual(JSON.parse(answer.Payload).code, 404);
  answer = await does(functions, 'invoke')({ FunctionName: `${arn}other:7`, Payload: '{"y": 2}' });
  assert.deepStrictEqual([answer.Payload.toString(), answer.FunctionError, answer.StatusCode], ['"answer"', '', 200]);
  await does(functions, 'invoke')({ FunctionName: `${arn}other`, Qualifier: '7', Payload: '{}', InvocationType: 'Event' });
  answer = await does(functions, 'invoke')({ FunctionName: `${arn}broken` });
  assert.strictEqual(answer.FunctionError, 'Handled');
  await assert.rejects(does(functions, 'invoke')({ FunctionName: `${arn}broken`, InvocationType: 'Event' }));
  await assert.rejects(does(functions, 'invoke')({ FunctionName: `${arn}stranger` }));
  console.log('all went well');
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
