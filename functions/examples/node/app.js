// The car aggregator of AWS's traffic-light tutorial: it counts how often the light has
// turned green. It is plain AWS Lambda code: it would run there as it runs here.
"use strict";

const {
  IoTDataPlaneClient, GetThingShadowCommand, PublishCommand, UpdateThingShadowCommand,
  ResourceNotFoundException,
} = require("@aws-sdk/client-iot-data-plane");

const thingName = "GG_CarAggregator";
const topic = "cars/green";
const iot = new IoTDataPlaneClient({});

// load takes up the count where it was left.
async function load() {
  try {
    const { payload } = await iot.send(new GetThingShadowCommand({ thingName }));
    return JSON.parse(Buffer.from(payload).toString()).state.reported.green;
  } catch (e) {
    if (e instanceof ResourceNotFoundException) return 0;
    throw e;
  }
}

let green;
const light = (document) => document?.state?.reported?.property;

// handler is called with each change of the traffic light.
exports.handler = async (event) => {
  if (green === undefined) {
    green = await load();
    console.log("counting on from", green);
  }
  if (light(event.current) === "G" && light(event.previous) !== "G") {
    green++;
    await iot.send(new UpdateThingShadowCommand({
      thingName, payload: JSON.stringify({ state: { reported: { green } } }),
    }));
    await iot.send(new PublishCommand({ topic, qos: 1, payload: JSON.stringify({ green }) }));
  }
  return { green };
};
