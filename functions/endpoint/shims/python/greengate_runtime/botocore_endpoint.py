"""Lets an old boto3 find this gateway.

AWS_ENDPOINT_URL_IOT_DATA_PLANE is known to boto3 from 1.28 on (botocore 1.31). Debian 12
has an older one. When that is imported, its clients for iot-data get the endpoint that
the variable names, unless the code names one itself.
"""
import importlib.abc
import importlib.util
import os
import sys

VARIABLE = "AWS_ENDPOINT_URL_IOT_DATA_PLANE"
MODULE = "botocore.session"


def teach(session):
    """Changes the module botocore.session, if it is old."""
    import botocore

    if tuple(int(n) for n in botocore.__version__.split(".")[:2]) >= (1, 31):
        return
    create_client = session.Session.create_client

    def create(self, service_name, *args, **kwargs):
        url = os.environ.get(VARIABLE)
        named = kwargs.get("endpoint_url") is not None or len(args) > 4  # the fifth after the name
        if url and service_name == "iot-data" and not named:
            kwargs["endpoint_url"] = url
        return create_client(self, service_name, *args, **kwargs)

    session.Session.create_client = create


class Finder(importlib.abc.MetaPathFinder):
    """Sees to it that the module is changed when it has been loaded."""

    def find_spec(self, fullname, path, target=None):
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None:
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                teach(module)

            spec.loader.exec_module = exec_module
        return spec


def install():
    sys.meta_path.insert(0, Finder())
