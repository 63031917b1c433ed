"""Takes its calls by the local calls of Greengrass V1, as the runtime of its core did."""
import base64
import json
import sys

from greengrass_common.env_vars import MY_FUNCTION_ARN
from greengrass_ipc_python_sdk.ipc_client import IPCClient, WorkItem

ipc = IPCClient()
if sys.argv[1:] == ["broken"]:
    ipc.put_initialization_result(MY_FUNCTION_ARN, ValueError("broken"))
    sys.exit(1)
ipc.put_initialization_result(MY_FUNCTION_ARN, None)
work = ipc.get_work(MY_FUNCTION_ARN)
subject = json.loads(base64.b64decode(work.client_context))["custom"]["subject"]
ipc.post_work_result(MY_FUNCTION_ARN, WorkItem(work.invocation_id, work.payload.upper() + b" " + subject.encode(), None))
work = ipc.get_work(MY_FUNCTION_ARN)
ipc.post_handler_err(MY_FUNCTION_ARN, work.invocation_id, "no")
