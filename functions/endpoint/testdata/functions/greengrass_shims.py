"""Uses the packages beside greengrasssdk as greengrasssdk does."""
import base64
import json

from greengrass_common.env_vars import MY_FUNCTION_ARN, ROUTER_FUNCTION_ARN, SECRETS_MANAGER_FUNCTION_ARN, SHADOW_FUNCTION_ARN
from greengrass_common.function_arn_fields import FunctionArnFields
from greengrass_ipc_python_sdk.ipc_client import IPCClient, IPCException

ipc = IPCClient(endpoint="localhost")


def context(subject, **custom):
    return base64.b64encode(json.dumps({"custom": {"source": MY_FUNCTION_ARN, "subject": subject, **custom}}).encode())


def publish(topic, payload, policy=""):
    ipc.post_work(ROUTER_FUNCTION_ARN, payload, context(topic, queueFullPolicy=policy), "Event")


def shadow(op, thing, payload=b""):
    work = ipc.post_work(SHADOW_FUNCTION_ARN, payload, context("$aws/things/{}/shadow/{}".format(thing, op)), "RequestResponse")
    result = ipc.get_work_result(SHADOW_FUNCTION_ARN, work)
    assert result.func_err == "", result
    return json.loads(result.payload.decode())


def invoke(name, payload=b"", kind="RequestResponse"):
    fields = FunctionArnFields("arn:aws:lambda:eu-west-1:123456789012:function:" + name + ":7")
    assert (fields.region, fields.account_id, fields.name, fields.qualifier) == ("eu-west-1", "123456789012", name, "7")
    arn = FunctionArnFields.build_function_arn(fields.unqualified_arn, fields.qualifier)
    work = ipc.post_work(arn, payload, "", kind)
    return None if kind == "Event" else ipc.get_work_result(arn, work)


def refused(do, *args):
    try:
        do(*args)
    except IPCException:
        return
    raise AssertionError("not refused")


publish("a/ä", '{"x": 1}')
publish("full", b"lost")
refused(publish, "full", b"told", "AllOrError")
refused(publish, "a/#", b"no topic")
assert shadow("get", "lamp") == {"state": {"reported": {"a": "ä"}}}
shadow("update", "lamp", '{"state":{}}')
shadow("delete", "lamp")
assert shadow("get", "nobody")["code"] == 404
assert invoke("other", '{"y": 2}') == (b'"answer"', "")
invoke("other", "{}", "Event")
assert invoke("broken") == (b'{"errorMessage":"no"}', "Handled")
refused(invoke, "broken", b"", "Event")
refused(invoke, "stranger")
refused(ipc.get_work_result, SHADOW_FUNCTION_ARN, "no-such-id")
refused(ipc.post_work, "arn:nothing", b"", b"", "Event")
work = ipc.post_work(SECRETS_MANAGER_FUNCTION_ARN, b'{"SecretId":"s"}', b"", "RequestResponse")
assert json.loads(ipc.get_work_result(SECRETS_MANAGER_FUNCTION_ARN, work).payload.decode())["Status"] == 404
print("all went well")
