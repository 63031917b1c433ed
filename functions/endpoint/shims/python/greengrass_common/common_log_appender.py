"""Where the SDK's own messages go: nowhere. What a function prints is in its log."""
import logging

local_cloudwatch_handler = logging.NullHandler()
