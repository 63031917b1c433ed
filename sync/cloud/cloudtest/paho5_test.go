package cloudtest_test

import (
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	"greengate/sync/cloud/cloudtest"
)

// MQTT 5 as paho.golang speaks it, against AWS's behaviour.

func TestConnackTellsTheLimits(t *testing.T) {
	c := start(t, cloudtest.Options{})
	x := connect(t, c, "core", func(p *paho.Connect) {
		day := uint32(86400)
		p.KeepAlive, p.Properties = 5, &paho.ConnectProperties{SessionExpiryInterval: &day}
	})
	p := x.connack.Properties
	if p.MaximumQoS == nil || *p.MaximumQoS != 1 || p.SubIDAvailable || !p.WildcardSubAvailable || !p.SharedSubAvailable ||
		*p.TopicAliasMaximum != 8 || *p.ReceiveMaximum != 100 || *p.ServerKeepAlive != 30 || *p.MaximumPacketSize != 149504 {
		t.Errorf("CONNACK %+v", p)
	}
	if p.SessionExpiryInterval == nil || *p.SessionExpiryInterval != 3600 {
		t.Errorf("session expiry %v, want the account's hour", p.SessionExpiryInterval)
	}
}

func TestPublishesAreRecordedAndRouted(t *testing.T) {
	c := start(t, cloudtest.Options{})
	x, y := connect(t, c, "core"), connect(t, c, "console")
	y.subscribe("plant/+/temperature", "other")
	if code := x.publish("plant/one/temperature", "20"); code != 0 {
		t.Errorf("PUBACK %#x", code)
	}
	if p := y.hears(); p.Topic != "plant/one/temperature" || string(p.Payload) != "20" || p.QoS != 1 {
		t.Errorf("heard %+v", p)
	}
	x.publish("$aws/rules/store/plant/two", "21")
	y.hearsOnly(c)
	got := c.Received()
	if len(got) != 2 || got[0].Client != "core" || got[0].Thing != "core" || got[0].Order != 1 ||
		got[1].Rule != "store" || got[1].Topic != "plant/two" || string(got[1].Payload) != "21" {
		t.Errorf("received %+v", got)
	}
}

func TestQoS2Disconnects(t *testing.T) {
	c := start(t, cloudtest.Options{})
	// paho honours Maximum QoS, so this is said byte by byte.
	w := wireClient(t, c, connect5)
	w.send([]byte("\x34\x06\x00\x01t\x00\x01\x00"))
	if first, body := w.packet(); first != 0xE0 || body[0] != 0x9B {
		t.Errorf("got packet %#x %x, want DISCONNECT 0x9B", first, body)
	}
	connect(t, c, "core")
	w = wireClientAs(t, c, "\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02w2")
	w.send([]byte("\x82\x07\x00\x01\x00\x00\x01t\x02"))
	if first, body := w.packet(); first != 0xE0 || body[0] != 0x9B {
		t.Errorf("got packet %#x %x, want DISCONNECT 0x9B", first, body)
	}
	violated(t, c, "qos-2")
}

func wireClientAs(t *testing.T, c *cloudtest.Cloud, connect string) *wire {
	t.Helper()
	return wireClient(t, c, []byte(connect))
}

func TestSizesOfTopicAndPayload(t *testing.T) {
	c := start(t, cloudtest.Options{Limits: cloudtest.NoRates()})
	x := connect(t, c, "core")
	for topic, want := range map[string]byte{
		"1/2/3/4/5/6/7/8":                     0,
		"1/2/3/4/5/6/7/8/9":                   0x90,
		strings.Repeat("x", 256):              0,
		strings.Repeat("x", 257):              0x90,
		"$aws/rules/r/1/2/3/4/5/6/7/8":        0,
		"$aws/rules/r/1/2/3/4/5/6/7/8/9":      0x90,
		"$aws/things/t/jobs/start-next":       0,
		"$aws/things/t/defender/metrics/json": 0,
	} {
		if got := x.publish(topic, "x"); got != want {
			t.Errorf("publish to %s: %#x, want %#x", topic, got, want)
		}
	}
	if got := x.publish("t", strings.Repeat("x", 128<<10)); got != 0 {
		t.Errorf("a payload of 128 KiB: %#x", got)
	}
	go x.Publish(t.Context(), &paho.Publish{Topic: "t", QoS: 1, Payload: make([]byte, 128<<10+1)})
	x.endsWith(0x95)
}

func TestReservedTopicsDisconnect(t *testing.T) {
	for name, p := range map[string]*paho.Publish{
		"an answer of the service": {Topic: "$aws/things/t/shadow/update/accepted", QoS: 1},
		"an unknown one":           {Topic: "$aws/nonsense", QoS: 1},
		"retained":                 {Topic: "$aws/things/t/shadow/update", QoS: 1, Retain: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, cloudtest.Options{})
			x := connect(t, c, "core")
			go x.Publish(t.Context(), p)
			x.endsWith(0x82)
			violated(t, c, "reserved-topic")
		})
	}
}

func TestSubscriptionLimits(t *testing.T) {
	c := start(t, cloudtest.Options{})
	x := connect(t, c, "core")
	for i := range 6 {
		var eight []string
		for j := range 8 {
			eight = append(eight, strings.Repeat("x", i+1)+"/"+strings.Repeat("y", j+1))
		}
		for _, code := range x.subscribe(eight...) {
			if code != 1 {
				t.Fatalf("SUBACK %#x", code)
			}
		}
	}
	if got := x.subscribe("49", "50", "51", "1/2/3/4/5/6/7/8/9", "a/#/b", "$aws/rules/r/t", "50"); string(got) != "\x01\x01\x97\x8f\x8f\x8f\x01" {
		t.Errorf("SUBACK %x", got)
	}
	if _, err := x.Unsubscribe(within(t), &paho.Unsubscribe{Topics: []string{"49"}}); err != nil {
		t.Error(err)
	}
	if got := x.subscribe("51"); got[0] != 1 {
		t.Errorf("after an UNSUBSCRIBE: SUBACK %x", got)
	}
	go x.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: make9()})
	x.endsWith(0x97)
	violated(t, c, "filters-per-subscribe")
}

func make9() (s []paho.SubscribeOptions) {
	for i := range 9 {
		s = append(s, paho.SubscribeOptions{Topic: strings.Repeat("z", i+1), QoS: 1})
	}
	return s
}

func TestSubscriptionIdentifierDisconnects(t *testing.T) {
	c := start(t, cloudtest.Options{})
	w := wireClient(t, c, connect5)
	w.send([]byte("\x82\x09\x00\x01\x02\x0b\x05\x00\x01t\x01"))
	if first, body := w.packet(); first != 0xE0 || body[0] != 0xA1 {
		t.Errorf("got %#x %x, want DISCONNECT 0xA1", first, body)
	}
}

func TestPolicies(t *testing.T) {
	c := start(t, cloudtest.Options{})
	c.SetPolicy("core", cloudtest.Policy{
		Clients: []string{"core"}, DenyPublish: []string{"secret/#"}, DenySubscribe: []string{"secret/+"}, DenyReceive: []string{"hidden"},
	})
	if x, err := tryConnect(t, dial(t, c, "core"), "other"); err == nil || x.connack.ReasonCode != 0x87 {
		t.Errorf("another client id: %v and %+v, want 0x87", err, x.connack)
	}
	x := connect(t, c, "core")
	if got := x.publish("secret/key", "x"); got != 0x87 {
		t.Errorf("a denied publish: %#x", got)
	}
	if got := x.subscribe("secret/+", "secret/key", "hidden", "fine"); string(got) != "\x87\x87\x01\x01" {
		t.Errorf("denied subscriptions: %x", got)
	}
	for _, topic := range []string{"hidden", "fine"} {
		if err := c.Publish(topic, nil, 1, false); err != nil {
			t.Fatal(err)
		}
	}
	x.hearsOnly(c, "fine ")
	go x.Publish(t.Context(), &paho.Publish{Topic: "secret/key"})
	x.endsWith(0x87)
}

func TestRetained(t *testing.T) {
	c := start(t, cloudtest.Options{})
	x := connect(t, c, "core")
	if _, err := x.Publish(within(t), &paho.Publish{Topic: "state/one", Payload: []byte("on"), QoS: 1, Retain: true}); err != nil {
		t.Fatal(err)
	}
	x.subscribe("state/+", "$share/g/state/one") // neither gets retained messages
	x.hearsOnly(c)
	x.subscribe("state/one")
	if p := x.hears(); p.Topic != "state/one" || !p.Retain {
		t.Errorf("heard %+v", p)
	}
	if _, err := x.Publish(within(t), &paho.Publish{Topic: "state/one", QoS: 1, Retain: true}); err != nil {
		t.Fatal(err)
	}
	if n := c.Status().Retained; n != 0 {
		t.Errorf("%d retained after an empty one", n)
	}
}

func TestTopicRulesOfAWS(t *testing.T) {
	c := start(t, cloudtest.Options{})
	x := connect(t, c, "core")
	x.subscribe("a/#", "+/x", "#")
	if err := c.Publish("$aws/x", nil, 1, false); err != nil {
		t.Fatal(err)
	}
	x.hearsOnly(c)
	y := connect(t, c, "other")
	y.subscribe("a/#")
	for _, topic := range []string{"a", "a/b"} {
		if err := c.Publish(topic, nil, 1, false); err != nil {
			t.Fatal(err)
		}
	}
	y.hearsOnly(c, "a/b ") // a/# does not match a
}

func TestSharedSubscriptionsTakeTurns(t *testing.T) {
	c := start(t, cloudtest.Options{})
	x, y := connect(t, c, "one"), connect(t, c, "two")
	x.subscribe("$share/g/job/+")
	y.subscribe("$share/g/job/+")
	for range 10 {
		if err := c.Publish("job/1", nil, 1, false); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		x.hears()
		y.hears()
	}
	x.hearsOnly(c)
	y.hearsOnly(c)
}

func TestTakeover(t *testing.T) {
	c := start(t, cloudtest.Options{Limits: cloudtest.NoRates()})
	x := connect(t, c, "core")
	watcher := connect(t, c, "watcher")
	watcher.subscribe("$aws/events/presence/disconnected/core")
	connect(t, c, "core")
	x.endsWith(0x8E)
	if p := watcher.hears(); !strings.Contains(string(p.Payload), `"disconnectReason":"DUPLICATE_CLIENTID"`) {
		t.Errorf("event %s", p.Payload)
	}
}

func TestConnectRate(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) { // in which a handshake takes no time
		c.wire(connect5)
		w := c.dial()
		w.send(connect5)
		if first, body := w.packet(); first != 0x20 || body[1] != 0x97 {
			t.Errorf("a second CONNECT within a second: %#x %x, want CONNACK 0x97", first, body)
		}
		violated(t, c.Cloud, "connect-rate")
	})
}
