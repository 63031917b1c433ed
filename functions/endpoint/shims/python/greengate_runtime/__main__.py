import os
import sys

from . import botocore_endpoint, log
from .client import Client
from .runtime import run

here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
root = os.environ.get("LAMBDA_TASK_ROOT") or os.getcwd()
# The shims come first: a package for Greengrass V1 may hold older ones, for a core that
# listens elsewhere.
sys.path[:] = [here, root] + [p for p in sys.path if os.path.abspath(p or ".") not in (here, root)]

name = os.environ.get("_HANDLER")
if not name:
    name = "".join(sys.argv[1:2])
    del sys.argv[1:2]  # what is left is the function's own
botocore_endpoint.install()
log.install()
run(Client(os.environ["AWS_LAMBDA_RUNTIME_API"]), name)
