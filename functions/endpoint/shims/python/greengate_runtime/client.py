"""The client of the AWS Lambda Runtime API, version 2018-06-01."""
import http.client
import json

PREFIX = "/2018-06-01/runtime/"


class Client:
    """One connection, for one thread."""

    def __init__(self, address):
        # No time limit: the next call comes when it comes.
        self.connection = http.client.HTTPConnection(address)

    def request(self, method, path, body=None, headers={}):
        self.connection.request(method, PREFIX + path, body, headers)
        response = self.connection.getresponse()
        return response.status, response.headers, response.read()

    def next(self):
        """Waits for a call and returns its headers and its event."""
        status, headers, body = self.request("GET", "invocation/next")
        if status != 200:
            raise RuntimeError("no call could be had: {} {}".format(status, body))
        return headers, body

    def respond(self, request_id, body):
        """Answers a call. Returns None, or why the answer was not taken."""
        status, _, text = self.request(
            "POST", "invocation/" + request_id + "/response", body, {"Content-Type": "application/json"}
        )
        return None if status == 202 else "{} {}".format(status, text.decode("utf-8", "replace"))

    def fail(self, path, document):
        body = json.dumps(document).encode()
        headers = {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": document["errorType"]}
        self.request("POST", path, body, headers)

    def call_failed(self, request_id, document):
        self.fail("invocation/" + request_id + "/error", document)

    def init_failed(self, document):
        self.fail("init/error", document)
