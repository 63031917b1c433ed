"""Loads a handler and has it work off calls. The names of errors are AWS's."""
import decimal
import importlib
import json
import math
import sys
import traceback

from . import log
from .context import Context


class RuntimeFault(Exception):
    """An error of the runtime that has a name in AWS."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def load(name):
    """Returns the function that MODULE.HANDLER names."""
    module_name, dot, function_name = name.rpartition(".")
    if not (module_name and function_name):
        raise RuntimeFault("Runtime.MalformedHandlerName", "Bad handler {!r}: write MODULE.FUNCTION".format(name))
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as e:
        raise RuntimeFault(
            "Runtime.ImportModuleError", "Unable to import module {!r}: {}".format(module_name, e)
        ) from e
    except SyntaxError as e:
        raise RuntimeFault(
            "Runtime.UserCodeSyntaxError", "Syntax error in module {!r}: {}".format(module_name, e)
        ) from e
    handler = getattr(module, function_name, None)
    if not callable(handler):
        raise RuntimeFault(
            "Runtime.HandlerNotFound", "Handler {!r} missing on module {!r}".format(function_name, module_name)
        )
    return handler


def document(error, request_id=None):
    """Tells an error as AWS does, and in the log."""
    kind = error.kind if isinstance(error, RuntimeFault) else type(error).__name__
    # The frames of this runtime help nobody.
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    lines = traceback.format_list(frames)
    print("[ERROR] {}: {}\nTraceback (most recent call last):\n{}".format(kind, error, "".join(lines)), end="", flush=True)
    told = {"errorType": kind, "errorMessage": str(error), "stackTrace": lines}
    if request_id:
        told["requestId"] = request_id
    return told


def read_event(headers, body):
    """JSON, or bytes where the function takes them as they are."""
    if headers.get("Content-Type") != "application/json":
        return body
    if not body:
        return None
    try:
        return json.loads(body.decode("utf-8"))
    except ValueError as e:
        raise RuntimeFault("Runtime.UnmarshalError", "Unable to unmarshal input: {}".format(e)) from e


def plain(value):
    """What json does not know: decimals, as boto3 has them of DynamoDB, are numbers, as in
    AWS. Whole ones keep all their digits."""
    if not isinstance(value, decimal.Decimal):
        raise TypeError("Object of type {} is not JSON serializable".format(type(value).__name__))
    if value.is_nan():
        return math.nan  # float() refuses one that signals
    return int(value) if value.as_tuple().exponent == 0 else float(value)


def write_result(headers, result):
    if isinstance(result, (bytes, bytearray)):
        return bytes(result)
    if headers.get("Content-Type") != "application/json":
        if result is None:
            return b""
        if isinstance(result, str):
            return result.encode("utf-8")
    try:
        return json.dumps(result, default=plain).encode("utf-8")
    except (TypeError, ValueError) as e:
        raise RuntimeFault("Runtime.MarshalError", "Unable to marshal response: {}".format(e)) from e


def run(client, name):
    """Works off calls until the process is ended."""
    try:
        handler = load(name)
    except Exception as e:
        client.init_failed(document(e))
        sys.exit(1)
    while True:
        headers, body = client.next()
        context = Context(headers)
        log.request_id = context.aws_request_id
        try:
            answer = write_result(headers, handler(read_event(headers, body), context))
        except Exception as e:
            client.call_failed(context.aws_request_id, document(e, context.aws_request_id))
            continue
        refused = client.respond(context.aws_request_id, answer)
        if refused:
            print("[ERROR] the answer was not taken: " + refused, flush=True)
