// A function that tells what it was given.
'use strict';

exports.handler = async (event, context) => {
  if (event === 'fail') throw new TypeError('no such key');
  if (event === 'exit') process.exit(3);
  console.log('got', context.awsRequestId);
  return {
    event,
    subject: context.clientContext.custom.subject,
    id: context.awsRequestId,
    arn: context.invokedFunctionArn,
    name: context.functionName,
    memory: String(context.memoryLimitInMB),
    inTime: context.getRemainingTimeInMillis() > 0 && context.getRemainingTimeInMillis() <= 60000,
  };
};

// Greengrass V1 wrote Custom, and had callbacks.
exports.old = (event, context, callback) => {
  setImmediate(() => callback(null, context.clientContext.Custom.subject));
};

exports.succeed = (event, context) => context.succeed('done');

// It never answers: the call ends when nothing is left to do.
exports.silent = () => {};

// What is thrown where nobody can catch it.
exports.loose = () => new Promise(() => setImmediate(() => { throw new RangeError('loose'); }));

exports.binary = async (event) => Buffer.from(event).reverse();

exports.arguments = async () => process.argv.slice(2);
