package greengrassv1

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shadowTopics are all topics of all shadows.
const shadowTopics = "$aws/things/+/shadow/#"

// bridge translates the mappings of the MQTT bridge: between the devices, the cloud, and
// what is published on the core, of which the shadows count here.
func (t *v2Translator) bridge() {
	c, report := t.d.config(v2Bridge), t.s.report
	if c == nil {
		return
	}
	c.entries("mqttTopicMapping", func(name string, m *node) {
		topic, source, target := t.r.text(m, "topic"), t.r.text(m, "source"), t.r.text(m, "target")
		what := fmt.Sprintf("mapping %s: %s from %s to %s", name, topic, source, target)
		if problem := topicProblem(topic); problem != "" {
			report.lacks(m, what, "%s; left out", problem)
			return
		}
		if prefix := t.r.text(m, "targetTopicPrefix"); prefix != "" {
			report.lacks(m, what, "a message keeps its topic: there is no targetTopicPrefix (%s); a function can publish it anew", prefix)
			return
		}
		before := t.s.report.Counts.Written
		switch strings.ToLower(source + " " + target) {
		case "localmqtt iotcore":
			t.up(topic, "cloud", m)
		case "iotcore localmqtt":
			t.down("cloud", topic, m)
		case "localmqtt pubsub":
			if !t.shadow(topic, what, m, func(both string) { t.up(both, "shadow", m) }) {
				return
			}
		case "pubsub localmqtt":
			if !t.shadow(topic, what, m, func(both string) { t.down("shadow", both, m) }) {
				return
			}
		case "iotcore pubsub", "pubsub iotcore":
			report.lacks(m, what, "components are no part of the table: make the component a function, and write a row between function:NAME and cloud")
			return
		default:
			report.lacks(m, what, "its source and target are not known")
			return
		}
		if n := t.s.report.Counts.Written - before; n > 0 {
			report.took(m, what, "%s", count(n, "row"))
		} else {
			report.translated(m, what, "no row of its own: no policy allows that to any device, or another mapping says it")
		}
	})
	for _, key := range []string{"brokerUri", "mqtt5RouteOptions", "mqtt", "startupTimeoutSeconds"} {
		if v := c.get(key); v != nil {
			report.translated(v, v2Bridge+" "+key, "the broker is built in; retained messages and QoS are kept")
		}
	}
}

// up adds rows from all groups that may publish on the topic.
func (t *v2Translator) up(topic, to string, at *node) {
	for _, g := range t.groups {
		for _, p := range g.publish {
			t.between(g.end, p, to, topic, at)
		}
	}
}

// down adds rows to all groups that may subscribe to the topic.
func (t *v2Translator) down(from, topic string, at *node) {
	for _, g := range t.groups {
		for _, s := range g.subscribe {
			t.between(from, topic, g.end, s, at)
		}
	}
}

// shadow does what a mapping to or from components means for shadows, and tells of the
// rest. It tells whether the mapping has to do with shadows.
func (t *v2Translator) shadow(topic, what string, at *node, rows func(both string)) bool {
	both, ok, _ := meet(topic, shadowTopics)
	if ok {
		rows(both)
	}
	if !ok || !strings.HasPrefix(topic, "$aws/things/") {
		t.s.report.lacks(at, what, "components are no part of the table: make the component a function, and write a row with function:NAME")
	}
	return ok
}

// shadows translates the settings of the shadow manager to those of the devices.
func (t *v2Translator) shadows() {
	c, report := t.d.config(v2Shadows), t.s.report
	synced := map[string]*node{}
	direction := ""
	sync := c.get("synchronize")
	note := func(thing string, v *node) {
		synced[thing] = v
		if names := v.list("namedShadows"); len(names) > 0 || !t.r.boolean(v, "classic", true) {
			report.translated(v, "shadows of "+thing, "all of them are synced, the classic and every named one")
		}
	}
	for _, v := range sync.list("shadowDocuments") {
		note(t.r.text(v, "thingName"), v)
	}
	sync.entries("shadowDocuments", note)
	sync.entries("shadowDocumentsMap", note)
	switch d := t.r.text(sync, "direction"); d {
	case "", "betweenDeviceAndCloud":
	case "deviceToCloud":
		direction = "up"
	case "cloudToDevice":
		direction = "down"
	default:
		t.r.fault(sync.get("direction"), "betweenDeviceAndCloud, deviceToCloud or cloudToDevice", "%q is no direction", clip(d))
	}
	n := 0
	for i := range t.s.devices {
		d := &t.s.devices[i]
		if synced[d.thing] == nil {
			d.shadow = "local"
			continue
		}
		n++
		d.direction = direction
		delete(synced, d.thing)
	}
	if n > 0 {
		report.took(sync, "sync of the shadows of "+count(n, "device"), "shadow: sync%s", map[bool]string{true: ", direction: " + direction}[direction != ""])
	}
	for _, thing := range slices.Sorted(maps.Keys(synced)) {
		if thing != "" && thing != t.s.core {
			report.lacks(synced[thing], "shadow of "+thing, "it is no client device, and so not synced")
		}
	}
	if v := sync.get("coreThing"); v != nil {
		report.translated(v, "shadows of the core", "all of them are synced")
	}
	for _, key := range []string{"strategy", "rateLimits", "shadowDocumentSizeLimitBytes", "provideSyncStatus"} {
		if v := c.get(key); v != nil {
			report.translated(v, v2Shadows+" "+key, "the sync is at once, within AWS's limits (docs/cloud.md, shadows)")
		}
	}
}
