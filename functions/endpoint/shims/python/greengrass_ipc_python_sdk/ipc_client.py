"""A client of the local calls, as greengrasssdk uses it. May be used by several threads."""
import collections
import http.client
import json
import os

from greengrass_common.env_vars import AUTH_TOKEN

WorkItem = collections.namedtuple("WorkItem", ["invocation_id", "payload", "client_context"])
GetWorkResultOutput = collections.namedtuple("GetWorkResultOutput", ["payload", "func_err"])

ID = "X-Amz-InvocationId"
CLIENT_CONTEXT = "X-Amz-Client-Context"
INVOCATION_TYPE = "X-Amz-Invocation-Type"
FUNCTION_ERROR = "X-Amz-Function-Error"


class IPCException(Exception):
    """A call that the gateway did not take, or could not be made."""


class IPCClient:
    def __init__(self, endpoint="localhost", port=None):
        """Both are those of Greengrass V1, and not looked at: the gateway listens for each
        function elsewhere."""
        self.address = os.environ.get("AWS_LAMBDA_RUNTIME_API", "localhost:8000")

    def post_work(self, function_arn, input_bytes, client_context, invocation_type="RequestResponse"):
        """Has a function do work, and returns the id by which its result can be had."""
        headers, _ = self._call("POST", function_arn, input_bytes, {CLIENT_CONTEXT: client_context, INVOCATION_TYPE: invocation_type})
        return headers.get(ID)

    def get_work_result(self, function_arn, invocation_id):
        headers, body = self._call("GET", function_arn, None, {ID: invocation_id})
        return GetWorkResultOutput(payload=body, func_err=headers.get(FUNCTION_ERROR, ""))

    def get_work(self, function_arn):
        """Waits for the next call of this function."""
        headers, body = self._call("GET", function_arn + "/work", None, {})
        return WorkItem(headers.get(ID), body, headers.get(CLIENT_CONTEXT))

    def post_work_result(self, function_arn, work_item):
        self._call("POST", function_arn + "/work", work_item.payload, {ID: work_item.invocation_id})

    def post_handler_err(self, function_arn, invocation_id, handler_err):
        body = json.dumps({"errorMessage": str(handler_err)})
        self._call("POST", function_arn + "/work", body, {ID: invocation_id, FUNCTION_ERROR: "Handled"})

    def put_initialization_result(self, function_arn, func_error):
        if isinstance(func_error, Exception):
            func_error = "{}({!r})".format(type(func_error).__name__, str(func_error))
        body = json.dumps({"Success": not func_error, "Response": str(func_error or "")})
        self._call("PUT", function_arn + "/initialized", body, {})

    def _call(self, method, path, body, headers):
        if hasattr(body, "read"):
            body = body.read()
        if isinstance(body, str):
            body = body.encode("utf-8")
        if method != "GET" and body is None:
            body = b""
        headers = {name: value for name, value in headers.items() if value}
        headers["Authorization"] = AUTH_TOKEN or ""
        connection = http.client.HTTPConnection(self.address)
        try:
            connection.request(method, "/2016-11-01/functions/" + path, body, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as e:
            raise IPCException(str(e)) from e
        finally:
            connection.close()
        if response.status >= 300:
            raise IPCException("HTTP Error {}: {}".format(response.status, text.decode("utf-8", "replace").strip()))
        return response.headers, text
