package cloudtest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"greengate/sync/cloud/cloudtest"
)

// The options of MQTT 5: of subscriptions, and the properties of a publish.

func TestPropertiesTravel(t *testing.T) {
	c := start(t, cloudtest.Options{})
	x, y := connect(t, c, "core"), connect(t, c, "other")
	y.subscribe("t")
	format, expiry := byte(1), uint32(60)
	_, err := x.Publish(within(t), &paho.Publish{Topic: "t", QoS: 1, Payload: []byte("{}"), Properties: &paho.PublishProperties{
		PayloadFormat: &format, MessageExpiry: &expiry, ContentType: "application/json", ResponseTopic: "r",
		CorrelationData: []byte{1, 2}, User: paho.UserProperties{{Key: "k", Value: "1"}, {Key: "k", Value: "2"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := y.hears().Properties
	if *p.PayloadFormat != 1 || *p.MessageExpiry != 60 || p.ContentType != "application/json" || p.ResponseTopic != "r" ||
		string(p.CorrelationData) != "\x01\x02" || len(p.User) != 2 || p.User[1].Value != "2" {
		t.Errorf("properties %+v", p)
	}
	if r := c.Received()[0].Properties; r == nil || r.ContentType != "application/json" || len(r.User) != 2 {
		t.Errorf("recorded properties %+v", r)
	}
}

func TestSubscriptionOptions(t *testing.T) {
	c := start(t, cloudtest.Options{Limits: cloudtest.NoRates()})
	x := connect(t, c, "core")
	subscribe := func(o paho.SubscribeOptions) {
		t.Helper()
		o.QoS = 1
		if _, err := x.Subscribe(within(t), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{o}}); err != nil {
			t.Fatal(err)
		}
	}
	subscribe(paho.SubscribeOptions{Topic: "mine", NoLocal: true})
	x.publish("mine", "from me")
	if err := c.Publish("mine", []byte("from the cloud"), 1, false); err != nil {
		t.Fatal(err)
	}
	x.hearsOnly(c, "mine from the cloud")

	subscribe(paho.SubscribeOptions{Topic: "kept", RetainAsPublished: true})
	subscribe(paho.SubscribeOptions{Topic: "plain"})
	for _, topic := range []string{"kept", "plain"} {
		if err := c.Publish(topic, []byte("x"), 1, true); err != nil {
			t.Fatal(err)
		}
		if p := x.hears(); p.Topic != topic || p.Retain != (topic == "kept") {
			t.Errorf("%s with retain %v", p.Topic, p.Retain)
		}
	}
	subscribe(paho.SubscribeOptions{Topic: "plain", RetainHandling: 1}) // there already
	subscribe(paho.SubscribeOptions{Topic: "plain", RetainHandling: 2})
	x.hearsOnly(c)
	subscribe(paho.SubscribeOptions{Topic: "plain"})
	x.hearsOnly(c, "plain x")
}

func TestReadings(t *testing.T) {
	c := start(t, cloudtest.Options{Readings: cloudtest.Readings{
		MissingVersion: cloudtest.MissingTaken, PreviousOfFirst: true, DeltaMetadata: true, ErrorTimestamp: true, NamedAs404: true,
	}})
	x := connect(t, c, "lamp")
	x.subscribe(lamp+"/name/n/get/rejected", lamp+"/name/n/update/documents")
	x.publish(lamp+"/name/n/get", "")
	_, got := x.answers(lamp+"/name/n", 1)
	sameJSON(t, "rejected", got["get/rejected"], `{"code":404,"message":"No shadow exists with name: 'lamp~n'","timestamp":1}`)
	x.publish(lamp+"/name/n/update", `{"state":{"desired":{"on":true}},"version":5}`)
	_, got = x.answers(lamp+"/name/n", 1)
	if !strings.Contains(string(got["update/documents"]), `"previous":{"metadata":{},"state":{},"version":0}`) {
		t.Errorf("documents %s", got["update/documents"])
	}
	answer, err := c.GetShadow("lamp", "n")
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, "get", answer, `{"state":{"desired":{"on":true},"delta":{"on":true}},"metadata":{"desired":{"on":{"timestamp":1}},"delta":{"on":{"timestamp":1}}},"version":1,"timestamp":1}`)
}

func TestLimitsChangeWhileItRuns(t *testing.T) {
	c := start(t, cloudtest.Options{})
	x := connect(t, c, "core")
	c.SetLimits(cloudtest.Limits{Topic: 3, Payload: -1})
	if got := x.publish("long", ""); got != 0x90 {
		t.Errorf("PUBACK %#x, want the new limit's", got)
	}
	if got := x.publish("t", strings.Repeat("x", 140_000)); got != 0 {
		t.Errorf("PUBACK %#x without a limit", got)
	}
}

func TestTheClientsOwnLimits(t *testing.T) {
	c := start(t, cloudtest.Options{})
	// Receive Maximum 2, Maximum Packet Size 50.
	w := wireClient(t, c, []byte("\x10\x16\x00\x04MQTT\x05\x02\x00\x3c\x08\x21\x00\x02\x27\x00\x00\x00\x32\x00\x01w"))
	w.send([]byte("\x82\x07\x00\x01\x00\x00\x01t\x01"))
	w.packet()
	for _, payload := range []string{"1", strings.Repeat("x", 50), "2", "3"} {
		if err := c.Publish("t", []byte(payload), 1, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"1", "2"} {
		if _, _, payload := w.hears(false); payload != "\x00"+want {
			t.Errorf("heard %q, want %q: the large one does not fit", payload, want)
		}
	}
	w.quiet(100 * time.Millisecond)
	w.send([]byte{0x40, 2, 0, 1})
	if _, _, payload := w.hears(false); payload != "\x003" {
		t.Errorf("heard %q after a PUBACK", payload)
	}
}
