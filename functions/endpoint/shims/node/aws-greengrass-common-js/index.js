// What aws-greengrass-core-sdk expects of a core of AWS IoT Greengrass V1, written anew.
'use strict';

const env = process.env;

exports.envVars = {
  AUTH_TOKEN: env.AWS_CONTAINER_AUTHORIZATION_TOKEN,
  GG_DAEMON_PORT: env.GG_DAEMON_PORT,
  MY_FUNCTION_ARN: env.MY_FUNCTION_ARN,
  ROUTER_FUNCTION_ARN: env.ROUTER_FUNCTION_ARN,
  SHADOW_FUNCTION_ARN: env.SHADOW_FUNCTION_ARN,
  SECRETS_MANAGER_FUNCTION_ARN: env.SECRETS_MANAGER_FUNCTION_ARN,
};

// The parts of a function's ARN: arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER].
exports.FunctionArnFields = class FunctionArnFields {
  constructor(arn) {
    const parts = String(arn).split(':');
    if (parts.length < 7 || parts.length > 8 || parts[0] !== 'arn' || parts[2] !== 'lambda' || parts[5] !== 'function' || !parts[6]) {
      throw new Error(`${arn} is no ARN of a function`);
    }
    [this.region, this.accountId, , this.name, this.qualifier] = parts.slice(3);
    this.unqualifiedArn = parts.slice(0, 7).join(':');
  }
};

exports.buildFunctionArn = (unqualifiedArn, qualifier) => (qualifier ? `${unqualifiedArn}:${qualifier}` : unqualifiedArn);

// The SDK's own messages are not those of the function, and go nowhere.
exports.logging = {
  LocalWatchLogger: class LocalWatchLogger {
    debug() {}
    info() {}
    warn() {}
    error() {}
  },
};
