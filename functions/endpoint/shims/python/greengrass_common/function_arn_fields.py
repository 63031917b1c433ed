"""The parts of a function's ARN: arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]."""


class FunctionArnFields:
    def __init__(self, function_arn):
        parts = function_arn.split(":")
        partition_ok = len(parts) > 1 and parts[1].startswith("aws")
        if len(parts) not in (7, 8) or parts[0] != "arn" or not partition_ok or parts[2] != "lambda" or parts[5] != "function" or not parts[6]:
            raise ValueError("{!r} is no ARN of a function".format(function_arn))
        self.region, self.account_id, self.name = parts[3], parts[4], parts[6]
        self.qualifier = parts[7] if len(parts) == 8 else None
        self.unqualified_arn = ":".join(parts[:7])

    @staticmethod
    def build_function_arn(unqualified_arn, qualifier):
        return "{}:{}".format(unqualified_arn, qualifier) if qualifier else unqualified_arn

    @classmethod
    def build_arn_string(cls, region, account_id, name, qualifier):
        arn = "arn:aws:lambda:{}:{}:function:{}".format(region, account_id, name)
        return cls.build_function_arn(arn, qualifier)
