"""The car aggregator of AWS's traffic-light tutorial: it counts how often the light
has turned green. It is plain AWS Lambda code: it would run there as it runs here."""

import json

import boto3

THING = "GG_CarAggregator"
TOPIC = "cars/green"

iot = boto3.client("iot-data")


def load():
    """Take up the count where it was left."""
    try:
        shadow = json.load(iot.get_thing_shadow(thingName=THING)["payload"])
    except iot.exceptions.ResourceNotFoundException:
        return 0
    return shadow["state"]["reported"]["green"]


green = load()
print("counting on from", green)


def light(document):
    return ((document or {}).get("state", {}).get("reported") or {}).get("property")


def handler(event, context):
    """Called with each change of the traffic light."""
    global green
    if light(event["current"]) == "G" and light(event.get("previous")) != "G":
        green += 1
        iot.update_thing_shadow(
            thingName=THING, payload=json.dumps({"state": {"reported": {"green": green}}}))
        iot.publish(topic=TOPIC, qos=1, payload=json.dumps({"green": green}))
    return {"green": green}
