package broker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/broker"
	"greengate/core/message"
)

// What comes by another way than MQTT is retained by the same rule, and may be
// read, in the order of the topics, until its time has run out.
func TestRetainedFromOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, b := build(newAuthority(), rows{{"a", "t/#", "b"}})
		port := r.Port(message.DeviceEndpoint("a"))
		publish := func(topic, payload string, life time.Duration) {
			m := &message.Message{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: true}
			if life > 0 {
				m.Expires = time.Now().Add(life)
			}
			way, err := port.Route([]byte(topic), message.CheckTopic)
			if err != nil {
				t.Fatal(err)
			}
			b.Publish(port, m, way)
			port.Flush()
		}
		begin := time.Now()
		publish("t/2", "two", 0)
		time.Sleep(time.Second)
		publish("t/1", "one", time.Minute)
		publish("t/3", "three", 0)
		publish("t/3", "", 0)
		publish("u/refused", "x", 0)
		if got := seen(b, ""); got != "t/1 one, t/2 two, " {
			t.Errorf("retained are %s", got)
		}
		if got := seen(b, "t/1"); got != "t/2 two, " {
			t.Errorf("after t/1 are %s", got)
		}
		m, stored, ok := b.RetainedOn("t/2")
		if !ok || string(m.Payload) != "two" || m.Source.Name != "a" || !stored.Equal(begin) {
			t.Errorf("got %+v %v %v", m, stored, ok)
		}
		time.Sleep(time.Minute)
		if _, _, ok := b.RetainedOn("t/1"); ok || seen(b, "") != "t/2 two, " {
			t.Errorf("its time has run out, and there are %s", seen(b, ""))
		}
	})
}

func seen(b *broker.Broker, after string) (text string) {
	b.RetainedAfter(after, func(m *message.Message, _ time.Time) bool {
		text += fmt.Sprintf("%s %s, ", m.Topic, m.Payload)
		return true
	})
	return text
}
