"""Stands in for the part of awslambdaric that is written in C++, with the same functions."""
import http.client
import os

connection = None


def initialize_client(user_agent):
    global connection
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def request(method, path, body=None, headers={}):
    connection.request(method, "/2018-06-01/runtime/invocation/" + path, body, headers)
    response = connection.getresponse()
    body = response.read()
    if response.status not in (200, 202):
        raise RuntimeError("{} {}".format(response.status, body))
    return response, body


def next():
    response, body = request("GET", "next")
    headers = {name: response.getheader(name) for name in (
        "Lambda-Runtime-Aws-Request-Id", "Lambda-Runtime-Trace-Id", "Lambda-Runtime-Invoked-Function-Arn",
        "Lambda-Runtime-Client-Context", "Content-Type", "Lambda-Runtime-Cognito-Identity", "Lambda-Runtime-Aws-Tenant-Id",
    )}
    headers["Lambda-Runtime-Deadline-Ms"] = int(response.getheader("Lambda-Runtime-Deadline-Ms"))
    return body, headers


def post_invocation_result(request_id, body, content_type):
    request("POST", request_id + "/response", body, {"Content-Type": content_type})


def post_error(request_id, document, xray_cause):
    request("POST", request_id + "/error", document, {"Content-Type": "application/json", "Lambda-Runtime-Function-XRay-Error-Cause": xray_cause})
