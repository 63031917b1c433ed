"""Publishes with a client that names no endpoint."""
import boto3

client = boto3.client("iot-data")
named = boto3.client("iot-data", endpoint_url="http://127.0.0.1:1")


def handler(event, context):
    client.publish(topic="a/b", payload=b"1")
    return [client.meta.endpoint_url, named.meta.endpoint_url]
