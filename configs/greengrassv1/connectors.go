package greengrassv1

import (
	"fmt"
	"strings"
)

// connectorHints are the nearest things to do for what AWS brought as connectors.
var connectorHints = map[string]string{
	"CloudWatchMetrics":                "send the values `to: cloud` and let an AWS IoT rule put them into CloudWatch",
	"DeviceDefender":                   "write a function that publishes its metrics `to: cloud`",
	"DockerApplicationDeployment":      "run the containers beside the gateway with docker compose or podman and systemd",
	"IoTAnalytics":                     "send the messages `to: cloud` and let an AWS IoT rule take them",
	"IoTSiteWise":                      "send the values `to: cloud` and let an AWS IoT rule put them into SiteWise",
	"IoTEthernetIPProtocolAdapter":     "write a function that polls the PLC and publishes",
	"KinesisFirehose":                  "send the records `to: cloud` and let an AWS IoT rule put them into Firehose; `batch` in the row gathers them",
	"MLFeedback":                       "write a function",
	"MLImageClassificationARMv7":       "write a function that brings its model with it",
	"MLImageClassificationAarch64JTX2": "write a function that brings its model with it",
	"MLImageClassificationx86-64":      "write a function that brings its model with it",
	"MLObjectDetectionAarch64JTX2":     "write a function that brings its model with it",
	"MLObjectDetectionx86-64":          "write a function that brings its model with it",
	"ModbusRTUProtocolAdapter":         "write a function with `devices: [/dev/ttyUSB0]` and any Modbus library",
	"ModbusTCPConnector":               "write a function with any Modbus library",
	"RaspberryPiGPIO":                  "the section gpio drives and reads the pins itself: leds, outputs, inputs, buttons (docs/hardware.md)",
	"SNS":                              "send the message `to: cloud` and let an AWS IoT rule send it by SNS",
	"SerialStream":                     "write a function with `devices: [/dev/ttyUSB0]`",
	"ServiceNowMetricBaseIntegration":  "write a function that calls its API",
	"SplunkIntegration":                "write a function that calls its HTTP event collector",
	"TwilioNotifications":              "write a function that calls its API",
}

func connectorHint(name string) string {
	if hint := connectorHints[name]; hint != "" {
		return hint
	}
	return "write a function that does its work"
}

func (t *translator) doConnectors() {
	for _, c := range t.g.connectors {
		var keys []string
		for _, p := range c.parameters {
			keys = append(keys, p.name)
		}
		what := "connector " + c.name
		if c.version != "" {
			what += " version " + c.version
		}
		t.s.report.lacks(c.at, what, "%s (its parameters were %s)", connectorHint(c.name), orNone(keys))
	}
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// doResources tells of what functions could open. Those of functions are written there.
func (t *translator) doResources() {
	used := map[string]bool{}
	for _, f := range t.g.functions {
		for _, a := range f.access {
			used[a.resource] = true
		}
	}
	for _, w := range t.g.resources {
		r := t.s.report
		what := fmt.Sprintf("resource %s (%s %s)", w.name, w.kind, w.source)
		switch w.kind {
		case "secret":
			r.lacks(w.at, what, "secrets are not fetched from AWS Secrets Manager: write it to a file of mode 600 and name that under `read` of the function")
		case "model":
			r.lacks(w.at, what, "models are not fetched: put the files beside the code of the function")
		default:
			if !used[w.id] {
				r.lacks(w.at, what, "no function uses it; left out")
				continue
			}
			key := map[string]string{"device": "devices", "volume": "read or write"}[w.kind]
			r.translated(w.at, what, "stands under `%s` of the functions that use it", key)
			if w.group != "" || w.autoGroup {
				r.lacks(w.at, what+", its group", "the function runs with the groups of its user: add that one to the group that owns %s (usermod -aG GROUP greengate)", w.source)
			}
		}
	}
}
