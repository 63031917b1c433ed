"""The beginning of Greengrass V1's hello world, and what Lambda code does besides."""
import logging
import sys

logger = logging.getLogger(__name__)
logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)


def handler(event, context):
    logger.debug("heard %s", event)
    sys.exit()
