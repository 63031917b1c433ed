"""The plain iot-data client of boto3, driven by the test.

    iot-data.py ENDPOINT THING FOLDER

It reads a call from each line of its standard input, and writes what came of it
as a line of its output: {"result": ...} or {"error": {"name", "message", "status"}},
with the id of the request. Nothing of the client is changed but its endpoint, the
CA and the certificate, which are settings of boto3.
"""
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

endpoint, thing, folder = sys.argv[1:]
client = boto3.client(
    "iot-data",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id="any",
    aws_secret_access_key="any",
    verify=f"{folder}/root-ca.pem",
    config=Config(client_cert=(f"{folder}/{thing}.cert.pem", f"{folder}/{thing}.private.key")),
)
methods = {
    "Publish": client.publish,
    "GetThingShadow": client.get_thing_shadow,
    "UpdateThingShadow": client.update_thing_shadow,
    "DeleteThingShadow": client.delete_thing_shadow,
    "ListNamedShadowsForThing": client.list_named_shadows_for_thing,
    "ListRetainedMessages": client.list_retained_messages,
    "GetRetainedMessage": client.get_retained_message,
}


def plain(value):
    if isinstance(value, StreamingBody):
        value = value.read()
    return value.decode() if isinstance(value, bytes) else value


for line in sys.stdin:
    call = json.loads(line)
    try:
        result = methods[call["op"]](**call["params"])
        meta = result.pop("ResponseMetadata")
        answer = {"result": {k: plain(v) for k, v in result.items()}}
    except ClientError as e:
        meta = e.response["ResponseMetadata"]
        error = e.response["Error"]
        answer = {"error": {"name": error["Code"], "message": error["Message"], "status": meta["HTTPStatusCode"]}}
    print(json.dumps({**answer, "id": meta.get("RequestId", "")}), flush=True)
