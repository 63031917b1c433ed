package main_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// MQTT 5 as paho.golang speaks it.

func TestTopicAliasGoesThroughTheGate(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display")
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"})
	s.start()
	sensor, display := s.connect("sensor"), s.connect("display")
	display.subscribe("#")
	if p := sensor.connack.Properties; p == nil || p.TopicAliasMaximum == nil || *p.TopicAliasMaximum == 0 {
		t.Fatalf("the broker offers no topic aliases: %+v", p)
	}
	one, two := uint16(1), uint16(2)
	alias := func(a *uint16) func(*paho.Publish) {
		return func(p *paho.Publish) { p.Properties = &paho.PublishProperties{TopicAlias: a} }
	}
	sensor.publish("room/temperature", "sets alias 1", alias(&one))
	if code := sensor.publish("secret", "sets alias 2", alias(&two)); code != notAuthorized {
		t.Errorf("an alias for a topic without a row: %#x, want %#x", code, notAuthorized)
	}
	if code := sensor.publish("", "hides behind alias 2", alias(&two)); code != notAuthorized {
		t.Errorf("a publish by that alias: %#x, want %#x", code, notAuthorized)
	}
	sensor.publish("", "uses alias 1", alias(&one))
	display.hears("room/temperature", "sets alias 1")
	display.hears("room/temperature", "uses alias 1")
	sensor.publish("secret", "alias 1 changes its mind", alias(&one))
	if code := sensor.publish("", "hides behind alias 1", alias(&one)); code != notAuthorized {
		t.Errorf("an alias that was set again: %#x, want %#x", code, notAuthorized)
	}
	sensor.publish("room/last", "word")
	display.hears("room/last", "word")
}

func TestQoSAndPropertiesTravel(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display")
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"})
	g := s.start()
	sensor, display := s.connect("sensor"), s.connect("display")
	identifier := 42
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := display.Subscribe(ctx, &paho.Subscribe{
		Properties:    &paho.SubscribeProperties{SubscriptionIdentifier: &identifier},
		Subscriptions: []paho.SubscribeOptions{{Topic: "room/+", QoS: 2}},
	}); err != nil {
		t.Fatal(err)
	}
	for qos := range byte(3) {
		message := &paho.Publish{Topic: "room/x", QoS: qos, Payload: []byte("hello"), Properties: &paho.PublishProperties{
			ContentType: "text/plain", ResponseTopic: "room/answer", CorrelationData: []byte{0, 1},
			User: paho.UserProperties{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}},
		}}
		if _, err := sensor.Publish(ctx, message); err != nil {
			t.Fatalf("publish at QoS %d: %v", qos, err)
		}
		p := display.hears("room/x", "hello")
		if p.QoS != qos {
			t.Errorf("published at QoS %d, heard at %d", qos, p.QoS)
		}
		if got := p.Properties; got.ContentType != "text/plain" || got.ResponseTopic != "room/answer" || string(got.CorrelationData) != "\x00\x01" ||
			fmt.Sprint(got.User) != fmt.Sprint(message.Properties.User) || got.SubscriptionIdentifier == nil || *got.SubscriptionIdentifier != identifier {
			t.Errorf("QoS %d: the properties arrive as %+v", qos, got)
		}
	}
	g.counts(ledger{Accepted: 3, Delivered: 3})
	if code := sensor.publish("elsewhere", "x", func(p *paho.Publish) { p.QoS = 2 }); code != notAuthorized {
		t.Errorf("QoS 2 without a row: %#x, want %#x", code, notAuthorized)
	}
}

func TestSharedSubscriptionIsRefusedHonestly(t *testing.T) {
	t.Parallel()
	s := newSite(t, "display")
	s.start()
	display := s.connect("display")
	if p := display.connack.Properties; p == nil || p.SharedSubAvailable {
		t.Error("CONNACK does not say that shared subscriptions are not available")
	}
	// paho itself obeys that, so the question is asked by hand.
	wish := append(rawString("$share/group/room/#"), 1)
	for _, c := range []struct {
		level byte
		head  []byte // packet id, and properties
		want  byte   // the last of SUBACK
	}{{5, []byte{0, 1, 0}, 0x9e}, {4, []byte{0, 1}, 0x80}} {
		conn := s.link(s.identity("display"))
		if first, body := exchange(t, conn, rawConnect(c.level, "display")); first != 0x20 || body[1] != 0 {
			t.Fatalf("connect: %#x %v", first, body)
		}
		first, body := exchange(t, conn, rawPacket(0x82, append(c.head, wish...)))
		if first != 0x90 || len(body) == 0 || body[len(body)-1] != c.want {
			t.Errorf("protocol level %d: %#x %v, want SUBACK %#x", c.level, first, body, c.want)
		}
	}
}

// TestSessionResumes cuts an autopaho client off again and again, while the
// other side goes on publishing: all arrives, in order.
func TestSessionResumes(t *testing.T) {
	t.Parallel()
	const cuts, batch = 4, 50
	s := newSite(t, "sensor", "display")
	s.rows(row{From: "sensor", Topic: "n", To: "display"})
	g := s.start()
	sensor := s.connect("sensor")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	up, heard := make(chan bool, cuts+1), make(chan string, cuts*batch*2)
	manager, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{{Scheme: "mqtts", Host: s.broker}}, TlsCfg: s.tls(s.identity("display")),
		KeepAlive: 30, SessionExpiryInterval: 3600, ConnectTimeout: patience,
		ReconnectBackoff: func(int) time.Duration { return 50 * time.Millisecond },
		OnConnectionUp:   func(_ *autopaho.ConnectionManager, c *paho.Connack) { up <- c.SessionPresent },
		ClientConfig: paho.ClientConfig{ClientID: "display", OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(p paho.PublishReceived) (bool, error) {
				heard <- string(p.Packet.Payload)
				return true, nil
			}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if present := await(t, "the first connection", up); present {
		t.Error("the first connection finds a session")
	}
	if _, err := manager.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "n", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	for cut := range cuts {
		for i := range batch {
			sensor.publish("n", fmt.Sprint(cut*batch+i))
			if i == batch/2 {
				// A take-over that leaves at once, by a client that keeps the session.
				hour := uint32(3600)
				thief := s.connect("display", func(c *paho.Connect) {
					c.CleanStart, c.Properties = false, &paho.ConnectProperties{SessionExpiryInterval: &hour}
					c.Properties.ReceiveMaximum = new(uint16)
					*c.Properties.ReceiveMaximum = 1
				})
				_ = thief.conn.Close()
			}
		}
		if present := await(t, "the connection after a cut", up); !present {
			t.Error("the session is gone after a cut")
		}
	}
	next := 0
	for next < cuts*batch {
		payload := await(t, fmt.Sprintf("message %d", next), heard)
		var n int
		if _, err := fmt.Sscan(payload, &n); err != nil {
			t.Fatal(err)
		}
		// At least once: what was not acknowledged before a cut may come again,
		// but nothing is skipped.
		if n > next {
			t.Fatalf("message %d came where %d was due", n, next)
		}
		if n == next {
			next++
		}
	}
	if err := manager.Disconnect(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing waits any more", func() bool { return g.status().Ledger.Waiting == 0 })
	if l := g.status().Ledger; l.Accepted != cuts*batch || l.Delivered != cuts*batch {
		t.Errorf("the ledger is %+v, want %d accepted and delivered", l, cuts*batch)
	}
}

func await[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v in vain for %s", patience, what)
		panic("unreachable")
	}
}
