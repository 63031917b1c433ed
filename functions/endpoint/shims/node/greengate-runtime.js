// A small AWS Lambda runtime for Node.js (14 and newer), without anything to build:
//
//   node -e "require('greengate-runtime')" [--] [MODULE.HANDLER] [ARGUMENT...]
//
// or this file as the program. The handler is that of the environment, _HANDLER, or else the
// first argument; the others are the function's, in process.argv.slice(2). The handler may be
// async, or take a callback; streamed answers need AWS's own client.
'use strict';

const http = require('http');
const path = require('path');
const { pathToFileURL } = require('url');

const env = process.env;
const [host, port] = (env.AWS_LAMBDA_RUNTIME_API || '').split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

// A request to the Runtime API, version 2018-06-01.
function request(method, where, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const sent = http.request({ host, port, method, path: `/2018-06-01/runtime/${where}`, agent, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

class RuntimeFault extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

// Tells an error as AWS does, and in the log.
function failure(where, error) {
  const isError = error instanceof Error;
  const told = {
    errorType: isError ? error.name : typeof error,
    errorMessage: isError ? error.message : String(error),
    trace: isError ? String(error.stack).split('\n') : [],
  };
  console.error('[ERROR]', isError ? error.stack : error);
  return request('POST', where, JSON.stringify(told), {
    'Content-Type': 'application/json',
    'Lambda-Runtime-Function-Error-Type': told.errorType,
  });
}

async function load(name) {
  const found = /^(.*?)([^/.]+)\.([^/]+)$/.exec(name);
  if (!found) throw new RuntimeFault('Runtime.MalformedHandlerName', `Bad handler '${name}': write MODULE.FUNCTION`);
  const file = path.resolve(env.LAMBDA_TASK_ROOT || process.cwd(), found[1] + found[2]);
  const module = await loadModule(file);
  const handler = found[3].split('.').reduce((object, key) => object && object[key], module);
  if (typeof handler !== 'function') {
    throw new RuntimeFault('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  }
  return handler;
}

async function loadModule(file) {
  let resolved;
  for (const end of ['', '.js', '.mjs', '.cjs']) {
    try {
      resolved = require.resolve(file + end);
      break;
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  if (!resolved) throw new RuntimeFault('Runtime.ImportModuleError', `Cannot find module '${file}'`);
  try {
    return require(resolved);
  } catch (error) {
    if (error.code === 'ERR_REQUIRE_ESM') return import(pathToFileURL(resolved));
    if (error.code === 'MODULE_NOT_FOUND') throw new RuntimeFault('Runtime.ImportModuleError', error.message);
    if (error instanceof SyntaxError) throw new RuntimeFault('Runtime.UserCodeSyntaxError', error.stack);
    throw error;
  }
}

let drained = null; // ends the call of a handler that never answers, as in AWS, with null
process.on('beforeExit', () => drained && drained());

// Calls the handler; done() of the context and the callback are the ways of old code.
function call(handler, event, headers) {
  return new Promise((resolve, reject) => {
    const callback = (error, result) => (error ? reject(error) : resolve(result));
    const deadline = Number(headers['lambda-runtime-deadline-ms']);
    const given = headers['lambda-runtime-client-context'];
    const context = {
      callbackWaitsForEmptyEventLoop: true,
      functionName: env.AWS_LAMBDA_FUNCTION_NAME,
      functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
      memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
      logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
      awsRequestId: headers['lambda-runtime-aws-request-id'],
      invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
      clientContext: given ? JSON.parse(given) : undefined,
      identity: undefined,
      getRemainingTimeInMillis: () => Math.max(deadline - Date.now(), 0),
      done: callback,
      succeed: (result) => resolve(result),
      fail: (error) => reject(error === undefined || error === null ? new Error('handled') : error),
    };
    drained = () => resolve(null);
    const promised = handler(event, context, callback);
    if (promised && typeof promised.then === 'function') promised.then(resolve, reject);
  }).finally(() => {
    drained = null;
  });
}

function readEvent(headers, body) {
  if (headers['content-type'] !== 'application/json') return body;
  if (body.length === 0) return null;
  try {
    return JSON.parse(body.toString());
  } catch (error) {
    throw new RuntimeFault('Runtime.UnmarshalError', `Unable to unmarshal input: ${error.message}`);
  }
}

function writeResult(headers, result) {
  if (result instanceof Uint8Array) return result;
  if (headers['content-type'] !== 'application/json' && typeof result === 'string') return result;
  const text = JSON.stringify(result === undefined ? null : result);
  if (text === undefined) throw new RuntimeFault('Runtime.MarshalError', 'Unable to stringify the answer');
  return text;
}

async function run(name) {
  let handler;
  try {
    handler = await load(name);
  } catch (error) {
    await failure('init/error', error);
    process.exit(1);
  }
  for (;;) {
    const { status, headers, body } = await request('GET', 'invocation/next');
    if (status !== 200) throw new Error(`no call could be had: ${status} ${body}`);
    const id = headers['lambda-runtime-aws-request-id'];
    try {
      current = id;
      const result = writeResult(headers, await call(handler, readEvent(headers, body), headers));
      current = null;
      const answer = await request('POST', `invocation/${id}/response`, result, { 'Content-Type': 'application/json' });
      if (answer.status !== 202) console.error('[ERROR] the answer was not taken:', answer.status, String(answer.body).trim());
    } catch (error) {
      current = null;
      await failure(`invocation/${id}/error`, error);
    }
  }
}

// What nobody catches fails the call at hand, and ends the process, as in AWS.
let current = null;
process.on('uncaughtException', async (error) => {
  if (current) await failure(`invocation/${current}/error`, error).catch(() => {});
  else console.error('[ERROR]', error);
  process.exit(129);
});

// With -e there is no file of a program among the arguments, and functions look behind it.
if (require.main !== module) process.argv.splice(1, 0, __filename);
run(env._HANDLER || process.argv.splice(2, 1)[0] || '');
