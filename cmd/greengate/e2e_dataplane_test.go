package main_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The data plane with the plain clients of AWS. Each goes through the same
// calls, which are those of a site with a sensor and a display.

// dataSite has rows from the sensor to the display, and for the display's
// reach to the sensor's shadow.
func dataSite(t *testing.T) (*site, *gateway) {
	t.Helper()
	s := newSite(t, "sensor", "display", "stranger")
	s.rows(
		row{From: "sensor", Topic: "room/#", To: "display"},
		row{From: "display", Shadow: "sensor", May: []string{"get", "update"}},
	)
	return s, s.start()
}

// withDataClients runs a test with each client, on a site of its own.
func withDataClients(t *testing.T, test func(t *testing.T, s *site, g *gateway, client func(thing string) dataClient)) {
	for name, client := range dataClients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g := dataSite(t)
			test(t, s, g, func(thing string) dataClient { return client(s, thing) })
		})
	}
}

func TestDataPlanePublish(t *testing.T) {
	withDataClients(t, func(t *testing.T, s *site, g *gateway, client func(string) dataClient) {
		display := s.connect("display")
		display.subscribe("room/#")
		sensor := client("sensor")

		const odd = "room/a b/100%/ä?&=$;../%2F"
		sensor.call("Publish", params{"topic": odd, "qos": 1, "payload": "hello"}).good(t)
		display.hears(odd, "hello")
		sensor.call("Publish", params{"topic": "room/nothing"}).good(t)
		display.hears("room/nothing", "")

		sensor.call("Publish", params{
			"topic": "room/answered", "qos": 1, "payload": "größer", "contentType": "text/plain; charset=utf-8",
			"responseTopic": "answers/sensor", "correlationData": "AAEC", "messageExpiry": 3600,
			"payloadFormatIndicator": "UTF8_DATA", "userProperties": []map[string]string{{"unit": "°C"}, {"unit": "K"}},
		}).good(t)
		p := display.hears("room/answered", "größer").Properties
		if p.ContentType != "text/plain; charset=utf-8" || p.ResponseTopic != "answers/sensor" || string(p.CorrelationData) != "\x00\x01\x02" ||
			p.PayloadFormat == nil || *p.PayloadFormat != 1 || p.MessageExpiry == nil || *p.MessageExpiry < 3500 || *p.MessageExpiry > 3600 ||
			fmt.Sprint(p.User) != "[{unit °C} {unit K}]" {
			t.Errorf("the properties arrive as %+v", p)
		}

		sensor.call("Publish", params{"topic": "elsewhere/x", "qos": 1, "payload": "x"}).refused(t, 403, "ForbiddenException")
		sensor.call("Publish", params{"topic": "room/+", "payload": "x"}).refused(t, 400, "InvalidRequestException")
		sensor.call("Publish", params{"topic": "room/large", "payload": strings.Repeat("x", 128<<10+1)}).refused(t, 413, "RequestEntityTooLargeException")
		sensor.call("Publish", params{"topic": "room/large", "payload": strings.Repeat("x", 128<<10)}).good(t)
		display.hears("room/large", strings.Repeat("x", 128<<10))
		g.counts(ledger{Accepted: 5, Delivered: 4, Refused: 1})
	})
}

func TestDataPlaneRetained(t *testing.T) {
	withDataClients(t, func(t *testing.T, s *site, g *gateway, client func(string) dataClient) {
		sensor, display, stranger := client("sensor"), client("display"), client("stranger")
		before := time.Now()
		for n := range 3 {
			sensor.call("Publish", params{
				"topic": fmt.Sprintf("room/%d", n), "qos": 1, "retain": true, "payload": fmt.Sprintf("value %d", n),
				"userProperties": []map[string]string{{"n": fmt.Sprint(n)}},
			}).good(t)
		}
		sensor.call("Publish", params{"topic": "hidden/x", "retain": true, "payload": "x"}).refused(t, 403, "ForbiddenException")

		kept := display.call("GetRetainedMessage", params{"topic": "room/1"}).good(t)
		if kept.text(t, "topic") != "room/1" || kept.text(t, "payload") != "value 1" || kept.Result["qos"] != 1.0 {
			t.Errorf("kept is %v", kept.Result)
		}
		if user, known := kept.Result["userProperties"]; known != !strings.HasSuffix(t.Name(), "/boto3") || known && user != `[{"n":"1"}]` {
			t.Errorf("the user properties are %v (the boto3 of Debian 12 does not know them)", user)
		}
		at := time.UnixMilli(int64(kept.Result["lastModifiedTime"].(float64)))
		if at.Before(before.Add(-time.Millisecond)) || at.After(time.Now()) {
			t.Errorf("it was kept at %v, not after %v", at, before)
		}
		display.call("GetRetainedMessage", params{"topic": "room/none"}).refused(t, 404, "ResourceNotFoundException")
		display.call("GetRetainedMessage", params{"topic": "hidden/x"}).refused(t, 404, "ResourceNotFoundException")
		stranger.call("GetRetainedMessage", params{"topic": "room/1"}).refused(t, 403, "ForbiddenException")

		if got := pages(t, display, params{"maxResults": 2}, 2); !slices.Equal(got, []string{"room/0", "room/1", "room/2"}) {
			t.Errorf("the display sees %q", got)
		}
		if got := pages(t, stranger, params{}, 200); len(got) > 0 {
			t.Errorf("the stranger sees %q", got)
		}

		g.stop()
		s.start()
		again := display.call("GetRetainedMessage", params{"topic": "room/1"}).good(t)
		if fmt.Sprint(again.Result) != fmt.Sprint(kept.Result) {
			t.Errorf("after a restart it is %v, was %v", again.Result, kept.Result)
		}
		sensor.call("Publish", params{"topic": "room/1", "qos": 1, "retain": true}).good(t)
		display.call("GetRetainedMessage", params{"topic": "room/1"}).refused(t, 404, "ResourceNotFoundException")
	})
}

// pages reads all topics that the client sees, in pages of so many at most.
func pages(t *testing.T, c dataClient, p params, size int) (topics []string) {
	t.Helper()
	for {
		page := c.call("ListRetainedMessages", p).good(t).Result
		list, _ := page["retainedTopics"].([]any)
		if len(list) > size {
			t.Errorf("%d messages in a page of %d", len(list), size)
		}
		for _, e := range list {
			summary := e.(map[string]any)
			if summary["payloadSize"] != 7.0 || summary["qos"] != 1.0 {
				t.Errorf("a summary is %v", summary)
			}
			topics = append(topics, summary["topic"].(string))
		}
		token, more := page["nextToken"].(string)
		if !more {
			return topics
		}
		p["nextToken"] = token
	}
}

func TestDataPlaneShadows(t *testing.T) {
	withDataClients(t, func(t *testing.T, s *site, g *gateway, client func(string) dataClient) {
		mqtt := s.connect("sensor")
		mqtt.subscribe("$aws/things/sensor/shadow/update/accepted")
		sensor, display, stranger := client("sensor"), client("display"), client("stranger")
		own := params{"thingName": "sensor"}

		sensor.call("GetThingShadow", own).refused(t, 404, "ResourceNotFoundException")
		accepted := sensor.call("UpdateThingShadow", params{"thingName": "sensor", "payload": `{"state":{"reported":{"on":true}},"clientToken":"t"}`}).good(t)
		same(t, "accepted", accepted.text(t, "payload"), `{"state":{"reported":{"on":true}},"version":1,"clientToken":"t"}`)
		if p := mqtt.next(); string(p.Payload) != accepted.text(t, "payload") {
			t.Errorf("MQTT says %s, HTTPS %s", p.Payload, accepted.text(t, "payload"))
		}
		display.call("UpdateThingShadow", params{"thingName": "sensor", "payload": `{"state":{"desired":{"on":false}}}`}).good(t)
		document := display.call("GetThingShadow", own).good(t)
		same(t, "the document", document.text(t, "payload"), `{"state":{"desired":{"on":false},"reported":{"on":true},"delta":{"on":false}},"version":2}`)

		sensor.call("UpdateThingShadow", params{"thingName": "sensor", "payload": `{"state":{},"version":1}`}).refused(t, 409, "ConflictException")
		sensor.call("UpdateThingShadow", params{"thingName": "sensor", "payload": `{"state":`}).refused(t, 400, "InvalidRequestException")
		tooLarge := fmt.Sprintf(`{"state":{"reported":{"x":%q}}}`, strings.Repeat("x", 9<<10))
		sensor.call("UpdateThingShadow", params{"thingName": "sensor", "payload": tooLarge}).refused(t, 413, "RequestEntityTooLargeException")

		for _, name := range []string{"b:1", "a", "c$"} {
			sensor.call("UpdateThingShadow", params{"thingName": "sensor", "shadowName": name, "payload": `{"state":{"desired":{"n":1}}}`}).good(t)
		}
		first := sensor.call("ListNamedShadowsForThing", params{"thingName": "sensor", "pageSize": 2}).good(t)
		if fmt.Sprint(first.Result["results"]) != "[a b:1]" {
			t.Errorf("the first page is %v", first.Result)
		}
		last := display.call("ListNamedShadowsForThing", params{"thingName": "sensor", "pageSize": 2, "nextToken": first.text(t, "nextToken")}).good(t)
		if _, more := last.Result["nextToken"]; more || fmt.Sprint(last.Result["results"]) != "[c$]" {
			t.Errorf("the last page is %v", last.Result)
		}
		named := params{"thingName": "sensor", "shadowName": "c$"}
		same(t, "the named shadow", sensor.call("GetThingShadow", named).good(t).text(t, "payload"), `{"state":{"desired":{"n":1},"delta":{"n":1}},"version":1}`)

		for _, op := range []string{"GetThingShadow", "DeleteThingShadow", "ListNamedShadowsForThing"} {
			stranger.call(op, own).refused(t, 403, "ForbiddenException")
		}
		display.call("DeleteThingShadow", own).refused(t, 403, "ForbiddenException") // it may get and update
		same(t, "deleted", sensor.call("DeleteThingShadow", named).good(t).text(t, "payload"), `{"version":1}`)
		sensor.call("GetThingShadow", named).refused(t, 404, "ResourceNotFoundException")
		g.balanced()
	})
}

// same compares shadow documents without what tells the time.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	var g, w map[string]any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Errorf("%s: %v in %q", what, err, got)
	}
	if _, timed := g["timestamp"].(float64); !timed {
		t.Errorf("%s has no timestamp: %s", what, got)
	}
	delete(g, "timestamp")
	delete(g, "metadata")
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(g) != fmt.Sprint(w) {
		t.Errorf("%s is %s, want %s", what, got, want)
	}
}
