import os
import sys

from . import botocore_endpoint
from .client import Client
from .runtime import run

here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
root = os.environ.get("LAMBDA_TASK_ROOT") or os.getcwd()
# The shims come first: a package for Greengrass V1 may hold older ones, for a core that
# listens elsewhere.
sys.path[:] = [here, root] + [p for p in sys.path if os.path.abspath(p or ".") not in (here, root)]

name = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("_HANDLER", "")
sys.argv = sys.argv[:1] + sys.argv[2:]
botocore_endpoint.install()
run(Client(os.environ["AWS_LAMBDA_RUNTIME_API"]), name)
