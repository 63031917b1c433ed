"""A function that tells what it was given."""
import decimal
import logging
import sys

logger = logging.getLogger()
logger.setLevel(logging.INFO)


def handler(event, context):
    if event == "fail":
        raise KeyError("no such key")
    if event == "unserialisable":
        return {1, 2}
    if event == "exit":
        sys.exit(3)
    print("got", context.aws_request_id)
    return {
        "event": event,
        "subject": context.client_context.custom["subject"],
        "id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "name": context.function_name,
        "memory": str(context.memory_limit_in_mb),
        "inTime": 0 < context.get_remaining_time_in_millis() <= 60000,
    }


def binary(event, context):
    return bytes(reversed(event))


def arguments(event, context):
    return sys.argv[1:]


def numbers(event, context):
    return [decimal.Decimal(text) for text in event]


def logs(event, context):
    logger.info("heard %s", event)
    logger.debug("too low")
    sys.exit()
