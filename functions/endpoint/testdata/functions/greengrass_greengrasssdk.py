"""Does with greengrasssdk itself what greengrass_shims.py does with the packages beside it."""
import json
import logging
import sys

import greengrasssdk

logging.disable(logging.CRITICAL)  # the SDK tells the exceptions that it raises
iot, functions = greengrasssdk.client("iot-data"), greengrasssdk.client("lambda")
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"


def refused(do, **kwargs):
    try:
        do(**kwargs)
    except Exception as e:
        return str(e)
    raise AssertionError("not refused")


iot.publish(topic="a/ä", payload='{"x": 1}')
iot.publish(topic="full", payload=b"lost")
refused(iot.publish, topic="full", payload=b"told", queueFullPolicy="AllOrException")
refused(iot.publish, topic="a/#", payload=b"no topic")
assert json.loads(iot.get_thing_shadow(thingName="lamp")["payload"].decode()) == {"state": {"reported": {"a": "ä"}}}
iot.update_thing_shadow(thingName="lamp", payload='{"state":{}}')
iot.delete_thing_shadow(thingName="lamp")
assert "error code 404" in refused(iot.get_thing_shadow, thingName="nobody")
answer = functions.invoke(FunctionName=ARN + "other:7", Payload='{"y": 2}')
assert answer["Payload"].read() == b'"answer"' and answer["FunctionError"] == ""
functions.invoke(FunctionName=ARN + "other", Qualifier="7", Payload="{}", InvocationType="Event")
answer = functions.invoke(FunctionName=ARN + "broken")
assert answer["FunctionError"] == "Handled" and json.loads(answer["Payload"].decode()) == {"errorMessage": "no"}
refused(functions.invoke, FunctionName=ARN + "broken", InvocationType="Event")
refused(functions.invoke, FunctionName=ARN + "stranger")
secrets = greengrasssdk.client("secretsmanager")
assert "404" in refused(secrets.get_secret_value, SecretId="s")
print("all went well")
