"""A small AWS Lambda runtime in pure Python (3.7 and newer).

    python3 -m greengate_runtime [MODULE.HANDLER] [ARGUMENT...]

runs a handler as AWS Lambda does, where AWS's own client cannot be built, and gives
functions of Greengrass V1 what they find there. The handler is that of the environment,
_HANDLER, or else the first argument; the others are the function's, in sys.argv[1:].
"""
