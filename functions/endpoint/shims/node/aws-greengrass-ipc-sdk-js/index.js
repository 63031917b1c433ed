// A client of the local calls of AWS IoT Greengrass V1, as aws-greengrass-core-sdk uses
// it, written anew.
'use strict';

const http = require('http');

const [host, port] = (process.env.AWS_LAMBDA_RUNTIME_API || 'localhost:8000').split(':');

module.exports = class IPCClient {
  constructor(token) {
    this.token = token || '';
  }

  // Has a function do work; callback(error, id), by which the result can be had.
  postWork(arn, payload, clientContext, invocationType, callback) {
    const headers = { 'X-Amz-Invocation-Type': invocationType || 'RequestResponse' };
    if (clientContext) headers['X-Amz-Client-Context'] = clientContext;
    this.call('POST', arn, payload === undefined || payload === null ? '' : payload, headers, (error, response) => {
      callback(error, error ? null : response.headers['x-amz-invocationid']);
    });
  }

  // callback(error, payload, functionError, status)
  getWorkResult(arn, id, callback) {
    this.call('GET', arn, null, { 'X-Amz-InvocationId': id }, (error, response, body) => {
      if (error) callback(error, null);
      else callback(null, body, response.headers['x-amz-function-error'], response.statusCode);
    });
  }

  call(method, arn, body, headers, done) {
    const options = {
      host, port, method, path: `/2016-11-01/functions/${arn}`, agent: false,
      headers: { ...headers, Authorization: this.token },
    };
    const data = body === null ? null : body instanceof Uint8Array ? body : Buffer.from(String(body));
    if (data) options.headers['Content-Length'] = data.length;
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', done);
      response.on('end', () => {
        const text = Buffer.concat(chunks);
        if (response.statusCode >= 300) done(new Error(`HTTP error ${response.statusCode}: ${text.toString().trim()}`));
        else done(null, response, text);
      });
    });
    request.on('error', done);
    request.end(data);
  }
};
