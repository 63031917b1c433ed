"""The log that a handler finds, as in AWS: the root logger writes to stdout.

AWS's client does the same, which makes logging.basicConfig() of a function do nothing: its
level goes unheard, and lines are lost. Here basicConfig() has its effect, as it has anywhere
else, and the handler of this module makes way for it, so that no line is told twice.
"""
import logging
import sys
import time

request_id = ""  # of the call at hand


class Formatter(logging.Formatter):
    converter = time.gmtime

    def format(self, record):
        record.aws_request_id = request_id
        return super().format(record)


def install():
    handler = logging.StreamHandler(sys.stdout)
    form = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
    handler.setFormatter(Formatter(form, "%Y-%m-%dT%H:%M:%S"))
    root = logging.getLogger()
    root.addHandler(handler)
    configure = logging.basicConfig

    def basicConfig(**kwargs):
        if root.handlers == [handler]:
            root.removeHandler(handler)
        configure(**kwargs)

    logging.basicConfig = basicConfig
